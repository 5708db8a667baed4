"""Conversion of NV12 frames to RGB."""

from __future__ import annotations

import numpy as np

from models.kernels.nv12_numba import convert_to_nv12
from server.encoding.nv12 import to_rgb


def test_colours_survive_the_conversion_to_nv12_and_back() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255]], [[200, 30, 40], [20, 120, 90]]], np.uint8)
    rgb = colours.repeat(16, 0).repeat(16, 1)
    back = to_rgb(convert_to_nv12(rgb)).astype(int)
    middle = back[8::16, 8::16]
    assert np.abs(middle - colours).max() <= 3
