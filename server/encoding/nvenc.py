"""H.264 encoding with NVENC through PyAV, tuned like `h264.py`, and its detection."""

from __future__ import annotations

import logging
from functools import cache, partial

import av
from av.video.codeccontext import VideoCodecContext

from server.encoding.h264 import OpenCodec, open_x264, prepare, rate_options

logger = logging.getLogger(__name__)

CPU = "cpu"
_PROBE_SIDE = 256
"""Pixels; NVENC refuses frames that are much smaller."""


def open_nvenc(
    width: int, height: int, fps: float, bitrate: int, gpu: int | None = None
) -> VideoCodecContext:
    """Open an encoder on a GPU.

    Args:
        width: Pixels, even.
        height: Pixels, even.
        fps: Expected frames per second.
        bitrate: Bits per second.
        gpu: Index of the GPU, as torch counts them; None for any that can encode.

    Raises:
        av.FFmpegError: If there is no such GPU, or it has no free encoder.
    """
    codec = av.CodecContext.create("h264_nvenc", "w")
    assert isinstance(codec, VideoCodecContext)
    prepare(codec, width, height, fps, bitrate)
    codec.options = nvenc_options(bitrate, gpu)
    codec.open()
    return codec


def nvenc_options(bitrate: int, gpu: int | None = None) -> dict[str, str]:
    """Return options for no delay, a constant bitrate, and key frames only on request.

    Args:
        bitrate: Bits per second.
        gpu: Index of the GPU, as torch counts them; None for any that can encode.
    """
    return {
        "preset": "p1",
        "tune": "ull",
        "profile": "baseline",  # NVENC's own default is main, whatever the context says
        "rc": "cbr",
        "zerolatency": "1",
        "delay": "0",
        "forced-idr": "1",
        "no-scenecut": "1",
        "gpu": "any" if gpu is None else str(gpu),
        **rate_options(bitrate),
    }


@cache
def choose_h264(device: str = CPU) -> OpenCodec:
    """Return NVENC where available, otherwise x264; called once per device, at the start.

    Args:
        device: Device that renders the frames; a GPU encodes its own frames.
    """
    _, _, index = device.partition(":")
    open_here = partial(open_nvenc, gpu=int(index) if index else None)
    try:
        open_here(_PROBE_SIDE, _PROBE_SIDE, fps=60, bitrate=1_000_000)
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as exc:
        logger.info("no NVENC for %s (%s): H.264 is encoded by x264", device, exc)
        return open_x264
    logger.info("H.264 of %s is encoded by NVENC", device)
    return partial(open_or_x264, open_here)


def open_or_x264(
    open_codec: OpenCodec, width: int, height: int, fps: float, bitrate: int
) -> VideoCodecContext:
    """Open an NVENC encoder, or x264 if none is free: drivers limit NVENC's sessions."""
    try:
        return open_codec(width, height, fps, bitrate)
    except av.FFmpegError as exc:
        logger.warning("NVENC takes no more sessions (%s): x264 encodes this one", exc)
        return open_x264(width, height, fps, bitrate)
