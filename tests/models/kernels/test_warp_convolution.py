"""The warp's fused convolutions against torch's, in float32."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.kernels.bfloat16 import bits_of
from models.kernels.warp_convolution import can_convolve, convolve, pack_kernels
from models.kernels.warp_pixels import allocate_half
from models.runtime.base import network_dtype

pytestmark = pytest.mark.skipif(
    network_dtype(torch.device("cpu")) != torch.bfloat16, reason="needs AVX512-BF16"
)

SIDE = 24
CHANNELS = 26
COVERAGE = 16


def whole_numbers(*shape: int) -> torch.Tensor:
    """Small ones: bfloat16 holds them, and float32 their sums of products, exactly."""
    return torch.randint(-2, 3, shape).float()


@pytest.mark.parametrize("hidden", [32, 96])
def test_both_convolutions_are_torchs_up_to_the_edges(hidden: int) -> None:
    torch.manual_seed(hidden)
    live = whole_numbers(1, CHANNELS, SIDE, SIDE)
    live[:, :, :, 10:14] = 0
    live[:, :, 12:18] = 0
    live[:, COVERAGE] = (live != 0).any(dim=1)
    weight, second_weight = whole_numbers(hidden, CHANNELS, 3, 3), whole_numbers(32, hidden, 1, 1)
    first, second = whole_numbers(SIDE, SIDE, hidden), whole_numbers(SIDE, SIDE, 32)
    code = whole_numbers(hidden)

    made = F.conv2d(live, weight, code, padding=1)[0] + first.permute(2, 0, 1)
    made = F.relu(made).bfloat16().float()  # between the convolutions, on this way too
    expected = F.conv2d(made[None], second_weight)[0].permute(1, 2, 0) + second

    half = allocate_half(2 * SIDE, CHANNELS - 2, 2, torch.bfloat16)
    half[1 : SIDE + 1, 1 : SIDE + 1] = live[0].permute(1, 2, 0)
    left = np.arange(SIDE, dtype=np.int32) % 7
    right = np.array([SIDE - row % 5 for row in range(SIDE)], np.int32)
    right[5] = left[5]  # a row that shows nothing
    got = np.full((SIDE, SIDE, 32), np.nan, np.float32)
    for top, bottom in ((0, 7), (7, SIDE)):
        convolve(
            bits_of(half), COVERAGE, bits_of(first.bfloat16()), bits_of(second.bfloat16()),
            code.numpy(), *pack_kernels(weight, second_weight), left, right, top, bottom,
            got[top:bottom],
        )  # fmt: skip
    for row in range(SIDE):
        within = slice(left[row], right[row])
        np.testing.assert_array_equal(got[row, within], expected.numpy()[row, within])
    assert np.isnan(got[5]).all()


def test_other_widths_and_precisions_are_left_to_torch() -> None:
    assert can_convolve(64, torch.bfloat16)
    assert not can_convolve(16, torch.bfloat16)
    assert not can_convolve(64, torch.float32)
