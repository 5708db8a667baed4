"""NV12 in Triton against plain torch, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from models.kernels.cuda.launch import launch
from models.kernels.cuda.nv12 import chroma_of, luma_of
from models.kernels.nv12 import rgb_to_nv12
from tests.models.interpreter import VARIABLE


def convert(rgb: tl.tensor, lumas: tl.tensor, chromas: tl.tensor, block: tl.constexpr) -> None:
    """Convert 2x2 pixels of 3 bytes each to four of luma and two of chroma."""
    i = tl.arange(0, block)
    reds, greens, blues = i * 0, i * 0, i * 0
    for n in tl.static_range(4):
        r = tl.load(rgb + i * 12 + n * 3).to(tl.int32)
        g = tl.load(rgb + i * 12 + n * 3 + 1).to(tl.int32)
        b = tl.load(rgb + i * 12 + n * 3 + 2).to(tl.int32)
        tl.store(lumas + i * 4 + n, luma_of(r, g, b))
        reds += r
        greens += g
        blues += b
    blue, red = chroma_of(reds, greens, blues)
    tl.store(chromas + i * 2, blue)
    tl.store(chromas + i * 2 + 1, red)


def test_nv12_equals_plain_torchs_to_the_bit() -> None:
    rgb = torch.randint(0, 256, (1024, 2, 2, 3), dtype=torch.uint8)
    rgb[0], rgb[1] = 0, 255
    lumas = torch.zeros((1024, 4), dtype=torch.uint8)
    chromas = torch.zeros((1024, 2), dtype=torch.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "1")
        kernel = triton.jit(convert)
    launch(kernel, (1,), rgb, lumas, chromas, block=1024)
    expected = torch.stack([rgb_to_nv12(image) for image in rgb])
    np.testing.assert_array_equal(lumas, expected[:, :2].reshape(-1, 4))
    np.testing.assert_array_equal(chromas, expected[:, 2])
