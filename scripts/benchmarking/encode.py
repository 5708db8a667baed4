"""Milliseconds and bytes per frame of every codec that this machine runs, on a moving view."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import av
import torch
from aiortc.codecs.vpx import Vp8Encoder
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from models.avatar.folder import SHIPPED
from models.contract.images import RgbImage
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import front, load_resized, swaying
from server.encoding.h264 import TIME_BASE, H264Encoder, OpenCodec, default_bitrate, open_x264
from server.encoding.nvenc import open_nvenc
from server.transport.webrtc.track import Vp8Passthrough

Encode = Callable[[RgbImage, int, bool], int]
"""Encodes an image, given its time in ticks and whether it is a key frame; returns its bytes."""

_FPS = 60
_TICKS = TIME_BASE.denominator // _FPS
_WARM_UP = 5
"""Frames not measured: the key frame, and the first ones, which allocate buffers."""


@dataclass(frozen=True)
class Encoders:
    """Milliseconds per frame from RGB to bytes, and from RGB to YUV, by codec and size."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    sizes: tuple[int, ...] = (256, 320, 512)
    """Rows and columns of the frames."""
    frames: int = 90
    """Number of frames per measurement."""


def encoders(command: Encoders) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for size in command.sizes:
        images = _render_images(command.avatar, size, command.frames + _WARM_UP)
        for codec, build in {"x264": _x264, "vp8": _vp8, "nvenc": _nvenc}.items():
            try:
                encoder = build(size)
            except (FFmpegError, ValueError) as exc:
                rows.append({"codec": codec, "size": size, "missing": str(exc)})
                continue
            rows.append({"codec": codec, "size": size, **_measure(encoder, images)})
    for row in rows:
        print(" ".join(f"{name} {value}" for name, value in row.items()))
    return {"fps": _FPS, "rows": rows}


def _render_images(avatar: Path, size: int, count: int) -> list[RgbImage]:
    renderer = CachedRenderer(load_resized(avatar, size))
    cache = renderer.allocate_cache()
    renderer.refresh(front(renderer.manifest), cache)
    return [
        renderer.warp(swaying(renderer.manifest, index / _FPS), cache).rgb for index in range(count)
    ]


def _measure(encode: Encode, images: list[RgbImage]) -> dict[str, float]:
    reformatter = VideoReformatter()
    convert_ms, frame_ms, sizes = [], [], []
    for index, rgb in enumerate(images):
        started = time.perf_counter()
        _to_yuv(reformatter, rgb)
        converted = time.perf_counter()
        size = encode(rgb, index * _TICKS, index == 0)
        if index >= _WARM_UP:
            convert_ms.append((converted - started) * 1e3)
            frame_ms.append((time.perf_counter() - converted) * 1e3)
            sizes.append(size)
    return {
        "frame_ms": round(median(frame_ms), 3),
        "rgb_to_yuv_ms": round(median(convert_ms), 3),
        "bytes": round(mean(sizes)),
    }


def _to_yuv(reformatter: VideoReformatter, rgb: RgbImage) -> av.VideoFrame:
    frame = reformatter.reformat(
        av.VideoFrame.from_ndarray(rgb, format="rgb24"),
        format="yuv420p",
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )
    assert frame is not None
    return frame


def _x264(size: int) -> Encode:
    return _h264(size, open_x264)


def _nvenc(size: int) -> Encode:
    """Open NVIDIA's encoder, which fails at once without such a GPU."""
    return _h264(size, open_nvenc)


def _h264(size: int, open_codec: OpenCodec) -> Encode:
    bitrate = default_bitrate(size, size)
    encoder = H264Encoder(
        size, size, fps=_FPS, bitrate=bitrate, highest_bitrate=bitrate, open_codec=open_codec
    )
    return lambda rgb, pts, is_key: encoder.encode(rgb, pts, is_key).size


def _vp8(size: int) -> Encode:
    images, encoder = Vp8Passthrough(), Vp8Encoder()
    encoder.target_bitrate = default_bitrate(size, size)

    def encode(rgb: RgbImage, pts: int, is_key: bool) -> int:
        payloads, _ = encoder.encode(images.encode(rgb, pts, is_key), is_key)
        return sum(map(len, payloads))

    return encode
