import pytest
import torch
from torch import Tensor

from models.data.samples import Truth
from models.metrics.image_quality import ssim
from models.networks.telewarp import Foreground
from models.training.losses import ImageLoss, LossWeights, structure_distance, texture_loss


@pytest.fixture
def truth() -> Truth:
    torch.manual_seed(0)
    mask = torch.zeros(2, 1, 48, 48)
    mask[:, :, 8:40, 8:40] = 1
    background = torch.full((2, 3, 48, 48), 0.2)
    return Truth(torch.rand(2, 3, 48, 48) * mask + background * (1 - mask), mask, background)


def exact_image(truth: Truth) -> Foreground:
    return Foreground(truth.rgb.clone(), (truth.mask * 2 - 1) * 40)


def test_the_exact_image_has_no_loss(truth: Truth) -> None:
    assert ImageLoss(LossWeights())(exact_image(truth), truth).item() == pytest.approx(0, abs=1e-5)


def test_terms_of_the_loss_are_weighted(truth: Truth) -> None:
    rgb = truth.rgb + 0.1 * truth.mask
    image = exact_image(truth)._replace(rgb=rgb)
    plain = ImageLoss(LossWeights(structure=0, mask=0))(image, truth).item()
    assert plain == pytest.approx(0.1 * truth.mask.mean().item(), rel=1e-4)
    structure = ImageLoss(LossWeights(structure=2, mask=0))(image, truth).item()
    distance = 1 - ssim(rgb, truth.rgb).mean().item()
    assert structure == pytest.approx(plain + 2 * distance, rel=1e-4)
    without_mask = image._replace(mask_logit=torch.full_like(image.mask_logit, -40))
    masked = ImageLoss(LossWeights(structure=0, mask=0.5))(without_mask, truth).item()
    unmasked = ImageLoss(LossWeights(structure=0, mask=0))(without_mask, truth).item()
    assert masked == pytest.approx(unmasked + 0.5 * truth.mask.mean().item(), rel=1e-4)


def test_a_trained_distance_replaces_the_structure_term(truth: Truth) -> None:
    def always_three(image: Tensor, other: Tensor) -> Tensor:
        assert image.shape == other.shape == (2, 3, 48, 48)
        return torch.tensor(3.0)

    loss = ImageLoss(LossWeights(vgg16=0.5, structure=9), always_three)
    assert loss(exact_image(truth), truth).item() == pytest.approx(1.5, abs=1e-5)


def test_structure_is_compared_at_several_resolutions(truth: Truth) -> None:
    # Noise of one pixel vanishes at half resolution.
    checkerboard = 0.1 * (torch.arange(48)[:, None] + torch.arange(48)).remainder(2).float() - 0.05
    noisy = truth.rgb + checkerboard
    assert structure_distance(truth.rgb, truth.rgb, 3).item() == pytest.approx(0, abs=1e-5)
    assert structure_distance(noisy, truth.rgb, 2) < 0.6 * structure_distance(noisy, truth.rgb, 1)
    # The window fits 12x12 pixels, but not 6x6: a fourth resolution has no effect.
    assert structure_distance(noisy, truth.rgb, 3) == structure_distance(noisy, truth.rgb, 4)


def test_pixels_without_weight_have_no_loss(truth: Truth) -> None:
    weight = torch.ones(2, 1, 48, 48)
    weight[:, :, 10:20, 10:20] = 0
    rgb = truth.rgb.clone()
    rgb[:, :, 10:20, 10:20] = 0.9
    image = exact_image(truth)._replace(rgb=rgb)
    loss = ImageLoss(LossWeights())
    assert loss(image, truth).item() > 0.02
    assert loss(image, truth._replace(weight=weight)).item() == pytest.approx(0, abs=1e-5)


def test_a_weight_multiplies_the_error_of_its_pixels(truth: Truth) -> None:
    rgb = truth.rgb.clone()
    rgb[:, :, 10:20, 10:20] += 0.1
    image = exact_image(truth)._replace(rgb=rgb)
    loss = ImageLoss(LossWeights(structure=0, mask=0))
    weight = torch.full((2, 1, 48, 48), 3.0)
    once = loss(image, truth).item()
    assert loss(image, truth._replace(weight=weight)).item() == pytest.approx(3 * once, rel=1e-5)


def test_pixels_without_weight_have_no_texture_loss(truth: Truth) -> None:
    wrong = truth.rgb + 0.2
    none = truth._replace(weight=torch.zeros(2, 1, 48, 48))
    assert texture_loss(wrong, truth).item() > 0.05
    assert texture_loss(wrong, none).item() == 0
