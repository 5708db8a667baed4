"""Compare VP9, AV1 and regions of interest with x264 without a region, at several bitrates.

All encoders of a size and bitrate take turns frame by frame, in random order, so that other work on
the machine affects them alike: compare ratios. Frames are decoded and compared in the first
repetition; the others measure times only. CPU times are of all threads of the process, because SVT-
AV1 has its own; `p50_ms` and `p95_ms` are what a frame waits for its packet, `first_ms` what the
first one waits. An encoder that does not return one packet for each frame at once is reported as
delayed.

SSIM and PSNR are of luma, over the whole image and in the face's rectangle, both scaled as decibels
(`-10 log10(1 - SSIM)`). `face_gain_db` is the gain of the face's SSIM over x264 without a region at
the same bitrate, which is interpolated between the bitrates of the run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED
from models.contract.frame_state import Rectangle
from models.metrics.image_quality import ssim
from scripts.benchmarking.codec_encoders import DECODERS, FPS, OPENERS, Encode
from scripts.benchmarking.moving_face import ShownFace, render_faces
from server.encoding.h264 import TIME_BASE

_TICKS = TIME_BASE.denominator // FPS
_WARM_UP = 30
"""Frames not measured: half a second, until the rate control has paid for the key frame."""
_SMALLEST = 1e-9
"""Of errors, so that equal images have finite decibels."""
_REFERENCE = "x264"


@dataclass(frozen=True)
class Codecs:
    """Time, bitrate, SSIM and PSNR of x264, VP9, AV1 and regions of interest."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    recording: Path | None = None
    """Recording whose expressions the face shows; without one it is neutral."""
    sizes: tuple[int, ...] = (320, 512)
    """Rows and columns of the frames."""
    kbps: tuple[int, ...] = (300, 600, 1200)
    """Bitrates."""
    frames: int = 180
    """Number of frames per measurement."""
    repetitions: int = 5
    """Number of measurements of the times."""
    encoders: tuple[str, ...] = tuple(OPENERS)
    """Which encoders are compared with x264 without a region."""


@dataclass
class _Times:
    """The times of one encoder in one repetition, milliseconds."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    packets: list[list[bytes]] = field(default_factory=list)

    def take(self, encode: Encode, shown: ShownFace, index: int) -> None:
        """Encode one frame."""
        started, cpu_started = time.perf_counter(), time.process_time()
        self.packets.append(encode(shown, index * _TICKS, index == 0))
        self.wall_ms.append((time.perf_counter() - started) * 1e3)
        self.cpu_ms.append((time.process_time() - cpu_started) * 1e3)


@dataclass
class _Quality:
    """Errors of decoded frames: `1 - SSIM` and the mean squared error of luma in 0..1."""

    face: list[tuple[float, float]] = field(default_factory=list)
    image: list[tuple[float, float]] = field(default_factory=list)

    def compare(self, shown: ShownFace, decoded: NDArray[np.uint8]) -> None:
        """Compare one frame with its decoded luma."""
        sent = shown.nv12[: len(decoded)]
        for errors, region in ((self.face, shown.face), (self.image, Rectangle(0, 0, *sent.shape))):
            rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
            errors.append(_errors(sent[rows, columns], decoded[rows, columns]))

    def row(self) -> dict[str, float]:
        """Return decibels of the means."""
        return {
            f"{part}_{name}_db": _decibels(mean(error[column] for error in errors))
            for part, errors in (("face", self.face), ("image", self.image))
            for column, name in enumerate(("ssim", "psnr"))
        }


def codecs(command: Codecs) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(1)
    names = dict.fromkeys((_REFERENCE, *command.encoders))
    rows = []
    for size in command.sizes:
        count = _WARM_UP + command.frames
        frames = render_faces(command.avatar, size, count, FPS, command.recording)
        of_size = []
        for kbps in command.kbps:
            of_size += _compare(names, frames, size, kbps, command.repetitions)
        _add_gains(of_size)
        rows += of_size
        for row in of_size:
            print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    return {"fps": FPS, "load": os.getloadavg(), "rows": rows}


def _compare(
    names: Iterable[str], frames: list[ShownFace], size: int, kbps: int, repetitions: int
) -> list[dict[str, Any]]:
    """Return a row per encoder."""
    runs: dict[str, list[_Times]] = {name: [] for name in names}
    opened_ms: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repetitions):
        running: dict[str, tuple[Encode, _Times]] = {}
        for name in names:
            started = time.perf_counter()
            running[name] = OPENERS[name](size, kbps * 1000), _Times()
            opened_ms[name].append((time.perf_counter() - started) * 1e3)
            runs[name].append(running[name][1])
        for index, shown in enumerate(frames):
            # The first finds the frame in no cache of the CPU, and each finds what the one before
            # left there: in a fixed order the same encoder took 0.8 to 1.2 times as long.
            for encode, times in _shuffled(list(running.values()), index):
                times.take(encode, shown, index)
    served = runs[_REFERENCE]
    return [
        {
            "encoder": name,
            "size": size,
            "kbps": kbps,
            **_sizes_row(measured[0]),
            **_quality_row(name, measured[0], frames),
            **_times_row(measured, served),
            "open_ms": round(median(opened_ms[name]), 1),
        }
        for name, measured in runs.items()
    ]


def _shuffled(running: list[tuple[Encode, _Times]], index: int) -> list[tuple[Encode, _Times]]:
    """Return encoders in the random order of a frame."""
    return Random(index).sample(running, len(running))


def _sizes_row(measured: _Times) -> dict[str, Any]:
    """Return the bitrate, the largest frame and the packets that came late."""
    sizes = [sum(map(len, packets)) for packets in measured.packets]
    steady = sizes[_WARM_UP:]
    return {
        "sent_kbps": round(mean(steady) * 8 * FPS / 1000),
        "key_bytes": sizes[0],
        "largest_bytes": max(steady),
        "delayed": any(len(packets) != 1 for packets in measured.packets),
    }


def _quality_row(name: str, measured: _Times, frames: list[ShownFace]) -> dict[str, float]:
    """Decode and compare what an encoder made."""
    decoder = av.CodecContext.create(DECODERS[name.split("_")[0]], "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    packets = [av.Packet(data) for packets in measured.packets for data in packets]
    decoded = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    quality = _Quality()
    for shown, frame in list(zip(frames, decoded, strict=True))[_WARM_UP:]:
        quality.compare(shown, frame.to_ndarray()[: frame.height].astype(np.uint8))
    return quality.row()


def _times_row(measured: list[_Times], served: list[_Times]) -> dict[str, float]:
    """Return medians of the repetitions, and the spread of the ratio to x264 without a region."""
    wall = np.array([times.wall_ms[_WARM_UP:] for times in measured])
    cpu = np.array([times.cpu_ms[_WARM_UP:] for times in measured])
    base = np.array([times.cpu_ms[_WARM_UP:] for times in served])
    ratios = np.median(cpu, axis=1) / np.median(base, axis=1)
    values = {
        "p50_ms": np.median(np.percentile(wall, 50, axis=1)),
        "p95_ms": np.median(np.percentile(wall, 95, axis=1)),
        "cpu_p50_ms": np.median(np.percentile(cpu, 50, axis=1)),
        "cpu_p95_ms": np.median(np.percentile(cpu, 95, axis=1)),
        "cpu_ratio": np.median(ratios),
        "cpu_ratio_least": ratios.min(),
        "cpu_ratio_most": ratios.max(),
        "first_ms": np.median([times.wall_ms[0] for times in measured]),
    }
    return {name: round(float(value), 2) for name, value in values.items()}


def _add_gains(rows: list[dict[str, Any]]) -> None:
    """Add the gains of SSIM over plain x264 at equal bitrates."""
    served = [row for row in rows if row["encoder"] == _REFERENCE]
    rates = np.log([row["sent_kbps"] for row in served])
    for part in ("face", "image"):
        name = f"{part}_ssim_db"
        # A parabola through three bitrates also continues a little beyond the last.
        curve = np.polyfit(rates, [row[name] for row in served], min(2, len(served) - 1))
        for row in rows:
            expected = np.polyval(curve, np.log(row["sent_kbps"]))
            row[f"{part}_gain_db"] = round(float(row[name] - expected), 2)


def _errors(sent: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> tuple[float, float]:
    """Return `1 - SSIM` and the mean squared error of two luma images, as parts of 255."""
    first, second = (
        torch.from_numpy(image.astype(np.float32) / 255)[None, None] for image in (sent, decoded)
    )
    return 1 - float(ssim(first, second)), float((first - second).square().mean())


def _decibels(error: float) -> float:
    return round(float(-10 * np.log10(max(error, _SMALLEST))), 2)
