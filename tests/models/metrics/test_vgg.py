"""VGG16 and its perceptual distances, with random weights in the layout of the published files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.metrics.vgg import (
    BLOCKS,
    Vgg16Perceptual,
    WeightsError,
    load_lpips,
    load_vgg16,
)


def torchvision_layers() -> nn.Sequential:
    """Return VGG16's `features` in torchvision's layout."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width == 0:
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def layers() -> nn.Sequential:
    torch.manual_seed(0)
    made = torchvision_layers()
    for module in made:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def state(layers: nn.Sequential) -> dict[str, Tensor]:
    weights = {f"features.{name}": value for name, value in layers.state_dict().items()}
    return {**weights, "classifier.0.weight": torch.zeros(2, 2)}


@pytest.fixture(scope="module")
def path(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, file)
    return file


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lpips") / "vgg.pth"
    torch.save(
        {f"lin{i}.model.1.weight": torch.rand(1, w[-1], 1, 1) for i, w in enumerate(BLOCKS)}, file
    )
    return file


def test_features_equal_torchvisions(layers: nn.Sequential, path: Path) -> None:
    """After the last ReLU of each block: layers 3, 8, 15, 22 and 29."""
    images = torch.rand(2, 3, 48, 64)
    made = load_vgg16(path)(images)
    for features, last in zip(made, (3, 8, 15, 22, 29), strict=True):
        torch.testing.assert_close(features, layers[: last + 1](images))


def test_perceptual_distance_compares_normalised_resized_images(
    layers: nn.Sequential, path: Path
) -> None:
    image, truth = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    distance = Vgg16Perceptual(load_vgg16(path, blocks=4))
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    expected = 0.0
    resized = [
        nn.functional.interpolate((p - mean) / deviation, (224, 224), mode="bilinear")
        for p in (image, truth)
    ]
    for last in (3, 8, 15, 22):
        image_features, truth_features = (layers[: last + 1](p) for p in resized)
        expected += (image_features - truth_features).abs().mean().item()
    assert distance(image, truth).item() == pytest.approx(expected, rel=1e-4)
    assert distance(truth, truth).item() == 0


def test_perceptual_distance_has_gradients_for_the_image_only(path: Path) -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    distance = Vgg16Perceptual(load_vgg16(path, blocks=4), size=32)
    distance(image, torch.rand(1, 3, 32, 32)).backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0
    assert not any(p.requires_grad for p in distance.parameters())


def test_lpips_is_zero_for_equal_images_and_grows_with_noise(path: Path, heads: Path) -> None:
    lpips = load_lpips(path, heads)
    truth = torch.rand(2, 3, 32, 32)
    noise = torch.randn_like(truth)
    none, little, much = (lpips(truth + a * noise, truth) for a in (0, 0.02, 0.2))
    assert none.tolist() == [0, 0]
    assert (little > 0).all()
    assert (much > little).all()


def test_weights_are_read_from_safetensors(
    state: dict[str, Tensor], path: Path, tmp_path: Path
) -> None:
    save_file(state, tmp_path / "vgg16.safetensors")
    images = torch.rand(1, 3, 16, 16)
    one, other = load_vgg16(path, 2), load_vgg16(tmp_path / "vgg16.safetensors", 2)
    torch.testing.assert_close(one(images), other(images))


def test_missing_weights_are_listed(state: dict[str, Tensor], tmp_path: Path) -> None:
    missing = ("features.5.bias", "features.28.weight")
    torch.save({k: v for k, v in state.items() if k not in missing}, tmp_path / "vgg.pth")
    with pytest.raises(WeightsError, match=r"lacks features\.5\.bias, features\.28\.weight$"):
        load_vgg16(tmp_path / "vgg.pth")
    with pytest.raises(WeightsError, match=r"lacks features\.5\.bias$"):  # the fifth is not needed
        load_vgg16(tmp_path / "vgg.pth", blocks=4)


def test_weights_of_another_shape_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({**state, "features.0.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "vgg.pth")
    expected = r"features\.0\.weight must be \(64, 3, 3, 3\), got \(64, 1, 3, 3\)"
    with pytest.raises(WeightsError, match=expected):
        load_vgg16(tmp_path / "vgg.pth")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x02N."])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "vgg.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"vgg\.pth"):
        load_vgg16(tmp_path / "vgg.pth")
    with pytest.raises(WeightsError, match=r"nowhere\.pth is not a readable weights file"):
        load_vgg16(tmp_path / "nowhere.pth")
