"""NV12 in Triton against plain torch, to the bit."""

from __future__ import annotations

import numpy as np
import torch

from models.kernels.cuda.launch import launch
from models.kernels.cuda.to_nv12 import to_nv12
from models.kernels.nv12 import rgb_to_nv12


def test_nv12_equals_plain_torchs_to_the_bit() -> None:
    size = 66
    rgb = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
    rgb[0, :2, :2], rgb[0, :2, 2:4] = 0, 255
    nv12 = torch.zeros((2, size * 3 // 2, size), dtype=torch.uint8)
    launch(to_nv12, (2, 2), rgb, size, nv12, block=1024)
    for got, image in zip(nv12, rgb, strict=True):
        np.testing.assert_array_equal(got, rgb_to_nv12(image))
