"""The warp's fused convolutions against torch's, in float32."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.kernels.bfloat16 import network_array
from models.kernels.fill_inputs import allocate_inputs
from models.kernels.warp_convolution import can_convolve, convolve, pack_kernels
from models.runtime.base import network_dtype

needs_bfloat16 = pytest.mark.skipif(
    network_dtype(torch.device("cpu")) != torch.bfloat16, reason="needs AVX512-BF16"
)

SIDE = 24
CHANNELS = 26
COVERAGE = 16


def small_integers(*shape: int) -> torch.Tensor:
    """Return integers that bfloat16 represents exactly, and float32 their sums of products."""
    return torch.randint(-2, 3, shape).float()


@pytest.mark.parametrize("hidden", [32, 96])
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bfloat16)]
)
def test_both_convolutions_equal_torchs_up_to_the_edges(hidden: int, dtype: torch.dtype) -> None:
    torch.manual_seed(hidden)
    live = small_integers(1, CHANNELS, SIDE, SIDE)
    live[:, :, :, 10:14] = 0
    live[:, :, 12:18] = 0
    live[:, COVERAGE] = (live != 0).any(dim=1)
    weight, second_weight = small_integers(hidden, CHANNELS, 3, 3), small_integers(32, hidden, 1, 1)
    first, second = small_integers(SIDE, SIDE, hidden), small_integers(SIDE, SIDE, 32)
    code = small_integers(hidden)

    hidden_layer = F.conv2d(live, weight, code, padding=1)[0] + first.permute(2, 0, 1)
    # Rounded between the convolutions, as in the kernel.
    hidden_layer = F.relu(hidden_layer).to(dtype).float()
    expected = F.conv2d(hidden_layer[None], second_weight)[0].permute(1, 2, 0) + second

    inputs = allocate_inputs(2 * SIDE, CHANNELS - 2, 2, dtype)
    inputs[1 : SIDE + 1, 1 : SIDE + 1] = live[0].permute(1, 2, 0)
    left = np.arange(SIDE, dtype=np.int32) % 7
    right = np.array([SIDE - row % 5 for row in range(SIDE)], np.int32)
    right[5] = left[5]  # a row without active columns
    got = np.full((SIDE, SIDE, 32), np.nan, np.float32)
    for top, bottom in ((0, 7), (7, SIDE)):
        convolve(
            network_array(inputs), COVERAGE, network_array(first.to(dtype)),
            network_array(second.to(dtype)), code.numpy(),
            *pack_kernels(weight, second_weight, dtype), left, right, top, bottom, got[top:bottom],
        )  # fmt: skip
    for row in range(SIDE):
        within = slice(left[row], right[row])
        np.testing.assert_array_equal(got[row, within], expected.numpy()[row, within])
    assert np.isnan(got[5]).all()


def test_other_widths_are_not_supported() -> None:
    assert can_convolve(64)
    assert not can_convolve(16)
