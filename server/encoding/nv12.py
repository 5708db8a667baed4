"""Frames of video back to RGB, for encoders of single images."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from models.contract.images import Nv12Image, RgbImage


def to_rgb(nv12: Nv12Image) -> RgbImage:
    """Return an image (H, W, 3) of the same colours as a frame (3 H/2, W)."""
    frame = av.VideoFrame.from_numpy_buffer(nv12, format="nv12")
    rgb = frame.to_ndarray(
        format="rgb24", src_colorspace=Colorspace.ITU601, src_color_range=ColorRange.MPEG
    )
    return np.asarray(rgb, np.uint8)
