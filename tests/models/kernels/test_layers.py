"""Heads without a background: properties of the reference, and the kernels against it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.images import LAYER_GAP, Layers, layered_rows
from models.kernels import layers_numba
from models.kernels.layers import extend_colours, finish, layers_of, over_colour
from models.kernels.nv12 import rgb_to_nv12

SIZE = 64
GREEN = Backdrop((0, 177, 64))


def disc() -> torch.Tensor:
    """Return the layers of an orange disc with a soft outline, black below half coverage."""
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    mask = (20.5 - torch.hypot(y - 30, x - 34)).clamp(0, 3) / 3
    orange = torch.tensor([0.9, 0.5, 0.2]) * (mask >= 0.5)[..., None]
    return layers_of(orange, mask)


def empty() -> torch.Tensor:
    return torch.zeros((SIZE, SIZE, 4), dtype=torch.uint8)


def noise() -> torch.Tensor:
    random = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (SIZE, SIZE, 4), dtype=torch.uint8, generator=random)


def full() -> torch.Tensor:
    return noise() | torch.tensor([0, 0, 0, 255], dtype=torch.uint8)


@pytest.mark.parametrize("make", [disc, empty, noise, full])
@pytest.mark.parametrize("backdrop", [TRANSPARENT, GREEN])
def test_the_kernels_equal_the_reference_implementation(
    make: Callable[[], torch.Tensor], backdrop: Backdrop
) -> None:
    layers = make()
    given: Layers = layers.numpy()
    got = layers_numba.finish(given, backdrop, layers_numba.allocate_levels(SIZE))
    expected = finish(layers, backdrop).numpy()
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_extended_colours_do_not_depend_on_those_beyond_an_outline() -> None:
    layers = disc()
    orange = torch.tensor([230, 128, 51])
    touched = layers[..., 3] > 0
    difference = (extend_colours(layers)[touched].int() - orange).abs()
    assert difference.max() <= 24  # the distant grey has a small share
    assert difference.float().mean() < 2
    assert (layers[touched][:, :3].int() - orange).abs().max() > 100  # black before the extension


def test_an_outline_over_a_colour_mixes_only_both_colours() -> None:
    layers = disc()
    assert GREEN.colour is not None
    over = over_colour(layers, GREEN.colour).float()
    cover = layers[..., 3:].float() / 255
    expected = cover * torch.tensor([230.0, 128, 51]) + (1 - cover) * torch.tensor(GREEN.colour)
    assert (over - expected).abs().max() <= 4


def test_a_layered_frame_has_colours_above_and_coverage_below() -> None:
    layers = disc()
    frame = finish(layers, TRANSPARENT)
    rows = layered_rows(SIZE)
    assert frame.shape == (rows * 3 // 2, SIZE)
    above = rgb_to_nv12(extend_colours(layers))
    torch.testing.assert_close(frame[:SIZE], above[:SIZE], rtol=0, atol=0)
    torch.testing.assert_close(frame[rows : rows + SIZE // 2], above[SIZE:], rtol=0, atol=0)
    coverage = (frame[SIZE + LAYER_GAP : rows].float() - 16) * 255 / 219
    assert (coverage - layers[..., 3].float()).abs().max() <= 0.6
    assert (frame[rows + (SIZE + LAYER_GAP) // 2 :] == 128).all()
    # Each half of the gap repeats the adjacent row.
    half = LAYER_GAP // 2
    assert (frame[SIZE : SIZE + half] == frame[SIZE - 1]).all()
    assert (frame[SIZE + half : SIZE + LAYER_GAP] == frame[SIZE + LAYER_GAP]).all()


def test_coverage_of_some_thousandths_is_rounded_to_zero() -> None:
    layers = layers_of(torch.zeros(2, 2, 3), torch.tensor([[0.0, 0.012], [0.99, 1.0]]))
    assert layers[..., 3].tolist() == [[0, 0], [255, 255]]
