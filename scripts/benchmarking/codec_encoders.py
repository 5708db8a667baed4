"""The encoders that `codecs.py` compares: x264 with and without regions, VP9 and AV1.

All use one thread where they can, a constant bitrate, the rate-control buffer of the server, and no
frame of delay.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from models.contract.frame_state import Rectangle
from scripts.benchmarking.moving_face import ShownFace
from server.encoding.h264 import (
    TIME_BASE,
    H264Encoder,
    OpenCodec,
    mark_region,
    open_x264,
    rate_options,
    video_frame,
)
from server.encoding.region_filter import region_filter

Encode = Callable[[ShownFace, int, bool], list[bytes]]
"""Encodes a frame, given its time in ticks and whether it is a key frame; returns the packets."""
OpenEncoder = Callable[[int, int], Encode]
"""Opens an encoder for square frames of a size, and bits per second."""
FindRegion = Callable[[ShownFace], Rectangle]

FPS = 60
DECODERS = {"x264": "h264", "vp9": "vp9", "av1": "libdav1d"}
"""FFmpeg's decoder of each codec, by the beginning of the encoder's name."""
_NEVER = 2**30
_I420 = "yuv420p"
"""libvpx and SVT-AV1 take no NV12."""


def _x264(open_codec: OpenCodec, size: int, bitrate: int) -> Encode:
    encoder = H264Encoder(
        size, size, fps=FPS, bitrate=bitrate, highest_bitrate=bitrate, open_codec=open_codec
    )
    return lambda shown, pts, is_key: [bytes(encoder.encode(shown.nv12, pts, is_key))]


def _x264_served(size: int, bitrate: int) -> Encode:
    """Open x264 as the server does, with the face where the pose says."""
    encoder = H264Encoder(
        size, size, fps=FPS, bitrate=bitrate, highest_bitrate=bitrate, open_codec=open_x264
    )
    return lambda shown, pts, is_key: [bytes(encoder.encode(shown.nv12, pts, is_key, shown.state))]


def _x264_region(find: FindRegion, steps: int, size: int, bitrate: int) -> Encode:
    """Open x264 with a lower quantiser in a region.

    Args:
        find: Finds the region in a frame.
        steps: By how much the quantiser is lower; at 6 it is half as coarse.
        size: Rows and columns.
        bitrate: Bits per second.
    """
    codec = open_x264(size, size, FPS, bitrate)
    regions = region_filter(video_frame(np.zeros((size * 3 // 2, size), np.uint8), 0))

    def encode(shown: ShownFace, pts: int, is_key: bool) -> list[bytes]:
        frame = mark_region(regions, video_frame(shown.nv12, pts), find(shown), steps)
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        return [bytes(packet) for packet in codec.encode(frame)]

    return encode


def _vp9(speed: int, size: int, bitrate: int) -> Encode:
    """Open libvpx as WebRTC uses it, see `libvpx_vp9_encoder.cc` there."""
    options = {
        "deadline": "realtime",
        "speed": str(speed),
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "aq-mode": "3",
        "minrate": str(bitrate),
        **rate_options(bitrate),
    }
    return _planar("libvpx-vp9", size, bitrate, options)


def _av1(preset: int, size: int, bitrate: int) -> Encode:
    """Open SVT-AV1 for conversations: low delay, constant bitrate."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only: it prints its settings otherwise
    options = {
        "preset": str(preset),
        "svtav1-params": "pred-struct=1:rc=2:rtc=1:lp=1:lookahead=0",
        **rate_options(bitrate),
    }
    return _planar("libsvtav1", size, bitrate, options)


def _planar(name: str, size: int, bitrate: int, options: dict[str, str]) -> Encode:
    """Open an encoder that takes I420."""
    codec = av.CodecContext.create(name, "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width = codec.height = size
    codec.pix_fmt, codec.time_base, codec.framerate = _I420, TIME_BASE, Fraction(FPS)
    codec.bit_rate, codec.gop_size, codec.thread_count = bitrate, _NEVER, 1
    codec.options = options
    codec.open()

    def encode(shown: ShownFace, pts: int, is_key: bool) -> list[bytes]:
        frame = video_frame(shown.nv12, pts).reformat(format=_I420, threads=1)
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        return [bytes(packet) for packet in codec.encode(frame)]

    return encode


OPENERS: dict[str, OpenEncoder] = {
    "x264": partial(_x264, open_x264),
    "x264_served": _x264_served,
    "x264_high": partial(_x264, partial(open_x264, profile="High")),
    "x264_veryfast": partial(_x264, partial(open_x264, preset="veryfast")),
    "x264_head_4": partial(_x264_region, lambda shown: shown.head, 4),
    **{
        f"x264_face_{steps}": partial(_x264_region, lambda shown: shown.face, steps)
        for steps in (2, 4, 6)
    },
    **{f"vp9_{speed}": partial(_vp9, speed) for speed in (8, 9)},
    **{f"av1_{preset}": partial(_av1, preset) for preset in (10, 11, 12, 13)},
}
"""The encoders by name: x264 as served without a region, as served, with another profile or preset,
and with a quantiser that is some steps lower in the region that the mesh gives; VP9 and its speed;
AV1 and its preset."""
