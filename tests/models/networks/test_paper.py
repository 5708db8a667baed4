"""The paper's networks: split form against plain form, and both against the published code's
output."""

import json
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.networks.conditioning import Conditioning
from models.networks.paper import PaperCache, PaperGenerator, PaperWarp
from models.networks.texture import NeuralTexture, harmonic_scale

GOLDEN = Path(__file__).parents[3].parent / "shared" / "golden"


def random_conditioning(seed: int) -> Conditioning:
    random = torch.Generator().manual_seed(seed)
    return Conditioning(*(torch.randn(2, k, generator=random) for k in (6, 2, 50)))


def test_the_split_form_equals_the_plain_form() -> None:
    torch.manual_seed(0)
    warp = PaperWarp(0.25, 6, 2, 50)
    cache = PaperCache(
        torch.randn(2, 64, 16, 24), torch.randn(2, 8, 16, 24), torch.randn(2, 8, 32, 48)
    )
    change = torch.randn(2, 2, 64, 96) * 0.1
    with torch.inference_mode():
        plain = warp(cache, change, random_conditioning(1), random_conditioning(2))
        split = warp.warp(
            warp.prepare(cache), change, random_conditioning(1), random_conditioning(2)
        )
    for one, other in zip(plain, split, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    if not GOLDEN.exists():
        pytest.skip("needs ../shared/golden")
    with np.load(GOLDEN / "paper_case.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def weights(golden: dict[str, Tensor]) -> dict[str, Tensor]:
    script = load_script(GOLDEN / "paper_weights.py")
    layout = json.loads((GOLDEN / "layout.json").read_text())["parameters"]
    return {
        name.removeprefix("module."): torch.from_numpy(script.tensor(name, shape))
        for name, shape in layout.items()
    }


def load_script(path: Path) -> ModuleType:
    spec = util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = dont_write
    return module


def fill(layer: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    layer.load_state_dict({k: weights[f"{name}.{k}"] for k in ("weight", "bias")})


def relative_error(value: Tensor, expected: Tensor) -> float:
    return float((value - expected).norm() / expected.norm())


@torch.inference_mode()
def test_the_texture_reproduces_the_published_code(
    golden: dict[str, Tensor], weights: dict[str, Tensor]
) -> None:
    texture = NeuralTexture(16, 64)
    for index, level in enumerate(texture.levels, start=1):
        level.copy_(torch.cat([weights[f"texture.layer{index}.{i}"] for i in range(16)], dim=1))
    scale = harmonic_scale(golden["cached_extrinsics"], 16)[..., None, None]
    features = texture(golden["cached_uv"]) * scale
    assert relative_error(features, golden["texture_features"]) < 1e-5


@torch.inference_mode()
def test_the_generator_reproduces_the_published_code(
    golden: dict[str, Tensor], weights: dict[str, Tensor]
) -> None:
    generator = PaperGenerator(16, 1)
    for index, layer in enumerate(generator.unet.down):
        fill(layer, weights, f"unet.down{index + 1}.conv.{min(index, 1)}")
    ups = [*generator.unet.up, generator.unet.last.conv]
    for index, layer in enumerate(ups):
        fill(layer, weights, f"unet.up{index + 1}.conv.2")
    render = generator(golden["texture_features"])
    assert relative_error(render.rgb, golden["full_rgb"]) < 1e-5
    assert relative_error(render.mask_logit.sigmoid(), golden["full_mask"]) < 1e-5
    assert relative_error(render.cache.features, golden["cache"]) < 1e-5
    assert relative_error(render.cache.skip_4, golden["skip_4"]) < 1e-5
    assert relative_error(render.cache.skip_5, golden["skip_5"]) < 1e-5


@torch.inference_mode()
def test_both_forms_of_the_warp_reproduce_the_published_code(
    golden: dict[str, Tensor], weights: dict[str, Tensor]
) -> None:
    warp = PaperWarp(1, 6, 2, 50)
    fill(warp.first, weights, "warpnet.conv1.conv.2")
    fill(warp.second, weights, "warpnet.conv2.conv.2")
    fill(warp.motion.linear, weights, "mlp.0")
    now, cached = (
        Conditioning(
            golden[f"{which}_pose"],
            golden[f"{which}_extrinsics"][:, :2],
            golden[f"{which}_expression"],
        )
        for which in ("current", "cached")
    )
    cache = PaperCache(golden["cache"], golden["skip_4"], golden["skip_5"])
    change = (golden["current_uv"] - golden["cached_uv"]).permute(0, 3, 1, 2)
    plain = warp(cache, change, now, cached)
    split = warp.warp(warp.prepare(cache), change, now, cached)
    for rgb, mask_logit in (plain, split):
        assert relative_error(rgb, golden["warp_rgb"]) < 1e-5
        assert relative_error(mask_logit.sigmoid(), golden["warp_mask"]) < 1e-5
