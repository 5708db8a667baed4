"""Capacity measurement at the start: how many viewers the machine can serve at a smooth frame rate.

The warp is the bottleneck (see the load table in the README), so it is timed as it will run: the
avatar with the highest resolution, on every device, in the warp thread. Then the encoder is timed
on those images.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from statistics import median

from models.contract.images import RgbImage
from server.admission.admission import Admission
from server.encoding.h264 import H264Encoder, default_bitrate
from server.encoding.nvenc import choose_h264
from server.errors import NotReadyError
from server.pool.pool import RenderPool
from server.pool.sizing import available_cores, default_warp_threads

logger = logging.getLogger(__name__)

SMOOTH_FPS = 30.0
"""Frame rate that every viewer of a full server gets; fewer viewers get up to `--fps`."""
BENCHMARK_S = 0.4
"""Duration of the warp benchmark."""
_LOOP_S = 0.0012
"""Event loop time per frame: 3.5 % of a core at 30 frames per second (load table in the README)."""
_USABLE_SHARE = 0.6
"""Share of the measured throughput that viewers may use. The rest is for workers and the system,
and
because warps are slower under load. Gives three viewers on the two cores of the README."""
_WAIT_READY_S = 60.0


@dataclass(frozen=True)
class FrameTimes:
    """Time that one frame of one viewer takes, seconds."""

    warp_s: Mapping[str, float]
    """By device."""
    encode_s: float
    cores: int
    """Number of cores of this machine."""
    warp_threads: int
    """Number of threads that share a warp on the CPU."""

    @property
    def frames_per_s(self) -> float:
        """Frames per second that the machine can produce without other load.

        Viewers are spread evenly over the devices, so the slowest device sets the limit.
        """
        devices = len(self.warp_s)
        cpu_warp_s = self.warp_s.get("cpu", 0.0) * self.warp_threads / devices
        on_cores_s = cpu_warp_s + self.encode_s + _LOOP_S
        return min(devices / max(self.warp_s.values()), self.cores / on_cores_s, 1 / _LOOP_S)

    def viewers(self, fps: float) -> int:
        """Return the number of viewers that can have `fps` frames per second each, at least 1.

        Args:
            fps: Maximum per viewer; treated as `SMOOTH_FPS` if higher.
        """
        return max(1, math.floor(_USABLE_SHARE * self.frames_per_s / min(fps, SMOOTH_FPS)))

    def describe(self) -> dict[str, object]:
        """Return the measurement as JSON values."""
        return {
            "warp_ms": {name: round(s * 1e3, 2) for name, s in self.warp_s.items()},
            "encode_ms": round(self.encode_s * 1e3, 2),
            "cores": self.cores,
        }


async def find_capacity(
    pool: RenderPool, admission: Admission, fps: float, executor: Executor
) -> None:
    """Measure the capacity and set the session limit.

    Waits for the first worker, because all cores are busy until then.
    """
    while not pool.ready:
        try:
            await pool.wait_ready(_WAIT_READY_S)
        except NotReadyError:
            continue  # reported by `readyz`
    times = await measure(pool, executor)
    admission.set_capacity(times.viewers(fps), times.describe())
    logger.info(
        "capacity: %d viewers at %g frames per second; a warp takes %s ms, encoding %.1f ms",
        admission.capacity,
        min(fps, SMOOTH_FPS),
        ", ".join(f"{s * 1e3:.1f} ({name})" for name, s in times.warp_s.items()),
        times.encode_s * 1e3,
    )


async def measure(pool: RenderPool, executor: Executor) -> FrameTimes:
    """Time warps and encoding for about half a second."""
    benchmarks = await pool.benchmark_warps(BENCHMARK_S)
    images = next(iter(benchmarks.values())).images
    loop = asyncio.get_running_loop()
    encode_s = await loop.run_in_executor(executor, _time_encoding, images)
    cores = available_cores()
    return FrameTimes(
        {device: benchmark.warp_s for device, benchmark in benchmarks.items()},
        encode_s,
        cores,
        default_warp_threads(cores),
    )


def _time_encoding(images: Sequence[RgbImage]) -> float:
    """Return the median encoding time of an image, seconds."""
    height, width = images[0].shape[:2]
    bitrate = default_bitrate(width, height)
    encoder = H264Encoder(
        width,
        height,
        fps=SMOOTH_FPS,
        bitrate=bitrate,
        highest_bitrate=bitrate,
        open_codec=choose_h264(),
    )
    times = []
    for index, image in enumerate(images):
        began = time.perf_counter()
        encoder.encode(image, 3000 * index, key_frame=index == 0)
        times.append(time.perf_counter() - began)
    return median(times)
