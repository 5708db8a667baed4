"""Frames of video as PyAV's, and back to RGB."""

from __future__ import annotations

import numpy as np

from models.kernels.nv12_numba import convert_to_nv12
from server.encoding.video_frame import PIXELS, to_rgb, video_frame


def test_a_frame_is_the_image_and_not_a_copy() -> None:
    nv12 = np.arange(24 * 16, dtype=np.uint8).reshape(24, 16)
    frame = video_frame(nv12, 9000)
    assert (frame.width, frame.height, frame.format.name) == (16, 16, PIXELS)
    assert float(frame.time or 0) == 0.1
    nv12[0, 0] = 77
    np.testing.assert_array_equal(frame.to_ndarray(), nv12)


def test_colours_come_back_from_nv12() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255]], [[200, 30, 40], [20, 120, 90]]], np.uint8)
    rgb = colours.repeat(16, 0).repeat(16, 1)
    back = to_rgb(convert_to_nv12(rgb)).astype(int)
    middle = back[8::16, 8::16]
    assert np.abs(middle - colours).max() <= 3
