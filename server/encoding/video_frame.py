"""Rendered frames as PyAV's: for encoders, and for what needs RGB."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from models.contract.images import Nv12Image, RgbImage

TIME_BASE = Fraction(1, 90_000)
"""RTP's clock for video."""
PIXELS = "nv12"
"""x264 and NVENC take it as it is."""


def video_frame(nv12: Nv12Image, pts: int) -> av.VideoFrame:
    """Return a frame that shares the memory of an image.

    Args:
        nv12: (3 H/2, W) uint8; must not change while the frame is used.
        pts: In 1/90000 s.
    """
    frame = av.VideoFrame.from_numpy_buffer(nv12, format=PIXELS)
    frame.pts = pts
    frame.time_base = TIME_BASE
    return frame


def to_rgb(nv12: Nv12Image) -> RgbImage:
    """Return an image (H, W, 3) of the same colours, for encoders of single images."""
    frame = av.VideoFrame.from_numpy_buffer(nv12, format=PIXELS)
    rgb = frame.to_ndarray(
        format="rgb24", src_colorspace=Colorspace.ITU601, src_color_range=ColorRange.MPEG
    )
    return np.asarray(rgb, np.uint8)
