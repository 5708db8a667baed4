"""Time, bytes and errors per frame of every available codec, for a moving view.

All encoders of a size take turns frame by frame, so that other work on the machine affects them
alike. Times are CPU time of the thread, for NVENC the CPU time spent on it. x264 runs twice: with
the settings of the server, and with the fastest ones. `rgb_to_yuv` is the time of the conversion of
a composed image by libswscale, which none of the other times contains.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import av
import numpy as np
import torch
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED
from models.contract.images import Nv12Image, RgbImage
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import front, load_resized, swaying
from server.encoding.h264 import (
    PIXELS,
    TIME_BASE,
    H264Encoder,
    OpenCodec,
    default_bitrate,
    open_x264,
)
from server.encoding.nv12 import to_rgb
from server.encoding.nvenc import open_nvenc
from server.transport.webrtc.track import Vp8Passthrough

Encode = Callable[[Nv12Image, int, bool], bytes]
"""Encodes an image, given its time in ticks and whether it is a key frame; returns its bytes."""

_FPS = 60
_TICKS = TIME_BASE.denominator // _FPS
_WARM_UP = 5
"""Frames not measured: the key frame, and the first ones, which allocate buffers."""
_DARK = 68
"""Luma below which a pixel counts as dark: the background and hair of the avatars."""


@dataclass(frozen=True)
class Encoders:
    """CPU milliseconds, bytes and errors per frame, by codec and size."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    sizes: tuple[int, ...] = (256, 320, 512)
    """Rows and columns of the frames."""
    frames: int = 90
    """Number of frames per measurement."""


@dataclass
class _Measured:
    """One encoder, with the decoder that receives its frames."""

    encode: Encode
    decoder: VideoCodecContext
    cpu_ms: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    """Mean squared error of luma, by frame."""
    dark_errors: list[float] = field(default_factory=list)
    """Mean squared error of luma in dark pixels, by frame."""

    def take(self, nv12: Nv12Image, index: int) -> None:
        """Encode, decode and measure one frame."""
        started = time.thread_time()
        data = self.encode(nv12, index * _TICKS, index == 0)
        cpu_ms = (time.thread_time() - started) * 1e3
        frames = self.decoder.decode(av.Packet(data))
        if index < _WARM_UP:
            return
        self.cpu_ms.append(cpu_ms)
        self.sizes.append(len(data))
        for frame in frames:
            luma = slice(0, len(nv12) * 2 // 3)
            self._compare(nv12[luma], frame.to_ndarray()[luma])

    def _compare(self, sent: NDArray[Any], shown: NDArray[Any]) -> None:
        # Decoded luma: a conversion to RGB would add errors larger than those of the codec.
        squared = np.square(shown.astype(float) - sent)
        self.errors.append(float(squared.mean()))
        dark = squared[sent < _DARK]
        if dark.size:
            self.dark_errors.append(float(dark.mean()))

    def row(self) -> dict[str, float]:
        """Return the medians."""
        return {
            "cpu_ms": round(median(self.cpu_ms), 3),
            "bytes": round(mean(self.sizes)),
            "luma_db": _decibels(self.errors),
            "dark_db": _decibels(self.dark_errors),
        }


def encoders(command: Encoders) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for size in command.sizes:
        frames = _render(command.avatar, size, command.frames + _WARM_UP)
        rows += _measure(frames, size)
        rows.append({"codec": "rgb_to_yuv", "size": size, "cpu_ms": _conversion_ms(frames)})
    for row in rows:
        print(" ".join(f"{name} {value}" for name, value in row.items()))
    return {"fps": _FPS, "rows": rows}


def _render(avatar: Path, size: int, count: int) -> list[Nv12Image]:
    renderer = CachedRenderer(load_resized(avatar, size))
    cache = renderer.allocate_cache()
    renderer.refresh(front(renderer.manifest), cache)
    return [
        renderer.warp_nv12(swaying(renderer.manifest, index / _FPS), cache).nv12
        for index in range(count)
    ]


def _measure(frames: list[Nv12Image], size: int) -> list[dict[str, Any]]:
    """Return a row per encoder."""
    running: dict[str, _Measured] = {}
    rows: list[dict[str, Any]] = []
    for codec, build in _ENCODERS.items():
        try:
            running[codec] = _Measured(build(size), _decoder(codec))
        except (FFmpegError, ValueError) as exc:
            rows.append({"codec": codec, "size": size, "missing": str(exc)})
    for index, nv12 in enumerate(frames):
        for measured in running.values():
            measured.take(nv12, index)
    return [{"codec": codec, "size": size, **m.row()} for codec, m in running.items()] + rows


def _decoder(codec: str) -> VideoCodecContext:
    decoder = av.CodecContext.create("vp8" if codec == "vp8" else "h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def _decibels(errors: list[float]) -> float:
    return round(float(10 * np.log10(255**2 / mean(errors))), 2)


def _conversion_ms(frames: list[Nv12Image]) -> float:
    """Return the CPU time of the conversion by libswscale."""
    reformatter, times = VideoReformatter(), []
    for rgb in map(to_rgb, frames):
        started = time.thread_time()
        libswscale_nv12(reformatter, rgb)
        times.append((time.thread_time() - started) * 1e3)
    return round(median(times), 3)


def libswscale_nv12(reformatter: VideoReformatter, rgb: RgbImage) -> av.VideoFrame:
    """Convert an image by libswscale, as encoders would do it."""
    frame = reformatter.reformat(
        av.VideoFrame.from_ndarray(rgb, format="rgb24"),
        format=PIXELS,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )
    assert frame is not None
    return frame


def _x264(size: int) -> Encode:
    return _h264(size, open_x264)


def _x264_fastest(size: int) -> Encode:
    return _h264(size, partial(open_x264, preset="ultrafast", finest_quantiser=18))


def _nvenc(size: int) -> Encode:
    """Open NVIDIA's encoder, which fails at once without such a GPU."""
    return _h264(size, open_nvenc)


def _h264(size: int, open_codec: OpenCodec) -> Encode:
    bitrate = default_bitrate(size, size)
    encoder = H264Encoder(
        size, size, fps=_FPS, bitrate=bitrate, highest_bitrate=bitrate, open_codec=open_codec
    )
    return lambda nv12, pts, is_key: bytes(encoder.encode(nv12, pts, is_key))


def _vp8(size: int) -> Encode:
    frames, encoder = Vp8Passthrough(), Vp8Encoder()
    encoder.target_bitrate = default_bitrate(size, size)

    def encode(nv12: Nv12Image, pts: int, is_key: bool) -> bytes:
        payloads, _ = encoder.encode(frames.encode(nv12, pts, is_key), is_key)
        return b"".join(VpxPayloadDescriptor.parse(payload)[1] for payload in payloads)

    return encode


_ENCODERS: dict[str, Callable[[int], Encode]] = {
    "x264": _x264,
    "x264_ultrafast": _x264_fastest,
    "vp8": _vp8,
    "nvenc": _nvenc,
}
