"""H.264 encoding with NVENC through PyAV, tuned like `h264.py`, and its detection."""

from __future__ import annotations

import logging
from functools import cache

import av
from av.video.codeccontext import VideoCodecContext

from server.encoding.h264 import OpenCodec, open_x264, prepare, rate_options

logger = logging.getLogger(__name__)

_PROBE_SIDE = 256
"""Pixels; NVENC refuses frames that are much smaller."""


def open_nvenc(width: int, height: int, fps: float, bitrate: int) -> VideoCodecContext:
    """Open an encoder on the GPU.

    Raises:
        av.FFmpegError: If there is no GPU, or it has no encoder to spare.
    """
    codec = av.CodecContext.create("h264_nvenc", "w")
    assert isinstance(codec, VideoCodecContext)
    prepare(codec, width, height, fps, bitrate)
    codec.options = nvenc_options(bitrate)
    codec.open()
    return codec


def nvenc_options(bitrate: int) -> dict[str, str]:
    """Return options for no delay, a constant bitrate, and key frames only on request.

    Args:
        bitrate: Bits per second.
    """
    return {
        "preset": "p1",
        "tune": "ull",
        "rc": "cbr",
        "zerolatency": "1",
        "delay": "0",
        "forced-idr": "1",
        "no-scenecut": "1",
        **rate_options(bitrate),
    }


@cache
def choose_h264() -> OpenCodec:
    """Return NVENC where available, otherwise x264; probed once, at the start."""
    try:
        open_nvenc(_PROBE_SIDE, _PROBE_SIDE, fps=60, bitrate=1_000_000)
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as exc:
        logger.info("no NVENC here (%s): H.264 is encoded by x264", exc)
        return open_x264
    logger.info("H.264 is encoded by NVENC")
    return open_nvenc
