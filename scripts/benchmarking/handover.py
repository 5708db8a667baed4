"""CPU time of a frame from its pose to its packet, composed as NV12 and as RGB.

The two alternate frame by frame. As RGB, a frame crosses the ring of a device process with twice
the bytes, and the server converts it for x264 (timed with a copy of the result, some 0.02 ms, that
the server would not need). Times are CPU time of the thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from models.avatar.folder import SHIPPED, load_avatar
from models.contract.images import Nv12Image, RgbImage
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import front, swaying
from scripts.benchmarking.encode import libswscale_nv12
from server.encoding.h264 import TIME_BASE, H264Encoder, default_bitrate, open_x264
from server.pool.frame_ring import FrameRing, RingLayout

_FPS = 60
_TICKS = TIME_BASE.denominator // _FPS
_WARM_UP = 5
"""Number of first frames that are not measured: the key frame, and those that allocate buffers."""


@dataclass(frozen=True)
class Handover:
    """CPU milliseconds and bytes of frames from the warp to the encoder."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    frames: int = 120
    """Number of frames of each path."""


class Way:
    """One path of frames from the warp to the encoder.

    Args:
        compose: Warps to the index of a frame.
        to_nv12: Converts a frame from the ring for the encoder.
        size: Rows and columns of the frames.
    """

    def __init__(
        self,
        compose: Callable[[int], RgbImage | Nv12Image],
        to_nv12: Callable[[Any], Nv12Image],
        size: int,
    ) -> None:
        self._compose, self._to_nv12 = compose, to_nv12
        self._ring = FrameRing.create(RingLayout(state_nbytes=64, image_nbytes=size * size * 3))
        bitrate = default_bitrate(size, size)
        self._encoder = H264Encoder(
            size,
            size,
            fps=_FPS,
            bitrate=bitrate,
            highest_bitrate=bitrate,
            open_codec=open_x264,
        )
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self._nbytes = 0

    def take(self, index: int) -> None:
        """Process one frame up to its packet."""
        entry = self._ring.entries[0]
        with self._timed("warp_ms"):
            image = self._compose(index)
        with self._timed("ring_write_ms"):
            entry.write_image(image.reshape(-1, image.shape[-1]))
        with self._timed("ring_read_ms"):
            read = entry.read_image((image.size // image.shape[-1], image.shape[-1]))
        with self._timed("encode_ms"):
            nv12 = self._to_nv12(read.reshape(image.shape))
            self._encoder.encode(nv12, index * _TICKS, key_frame=index == 0)
        self._nbytes = image.nbytes

    def row(self) -> dict[str, float]:
        """Return the medians, and the share of each process."""
        ms = {name: median(times[_WARM_UP:]) for name, times in self._times.items()}
        ms["device_process_ms"] = ms["warp_ms"] + ms["ring_write_ms"]
        ms["server_ms"] = ms["ring_read_ms"] + ms["encode_ms"]
        return {name: round(value, 3) for name, value in ms.items()} | {"bytes": self._nbytes}

    def close(self) -> None:
        """Free the ring."""
        self._ring.close()

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        # Time of the thread, which other work on the machine hardly affects.
        started = time.thread_time()
        yield
        self._times[name].append((time.thread_time() - started) * 1e3)


def handover(command: Handover) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(1)
    renderer = CachedRenderer(load_avatar(command.avatar))
    m, cache = renderer.manifest, renderer.allocate_cache()
    renderer.refresh(front(m), cache)
    reformatter = VideoReformatter()
    ways = {
        "rgb": Way(
            lambda index: renderer.warp(swaying(m, index / _FPS), cache).rgb,
            lambda rgb: _converted(reformatter, rgb),
            m.resolution,
        ),
        "nv12": Way(
            lambda index: renderer.warp_nv12(swaying(m, index / _FPS), cache).nv12,
            lambda nv12: nv12,
            m.resolution,
        ),
    }
    # Frame by frame in turn, so that other load of the machine affects both.
    for index in range(command.frames + _WARM_UP):
        for way in ways.values():
            way.take(index)
    for way in ways.values():
        way.close()
    return {"size": m.resolution, **{name: way.row() for name, way in ways.items()}}


def _converted(reformatter: VideoReformatter, rgb: RgbImage) -> Nv12Image:
    """Convert by libswscale."""
    return np.asarray(libswscale_nv12(reformatter, rgb).to_ndarray(), np.uint8)
