"""Capacity measurement at the start: how many viewers the machine can serve at a smooth frame rate.

Warp and encoder are timed as they will run: the avatar with the highest resolution, on every
device, in the warp thread, and then the encoder on those images. Three things limit a server: its
devices, the cores, and the interpreter lock, which the event loop shares with all calls that start
work on a GPU. Because of the lock, each of several GPUs needs a server (docker/CLUSTER.md).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from statistics import median

from models.contract.images import Nv12Image
from server.admission.admission import Admission
from server.encoding.h264 import H264Encoder, default_bitrate
from server.encoding.nvenc import choose_h264
from server.errors import NotReadyError
from server.pool.interface import CPU
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
and because warps are slower under load. Gives three viewers on the two cores of the README."""
_WAIT_READY_S = 60.0


@dataclass(frozen=True)
class FrameTimes:
    """Time that one frame of one viewer takes, seconds."""

    warp_s: Mapping[str, float]
    """Warp time by device."""
    encode_s: float
    """Encoding time on a core; if a GPU encodes, of the calls only."""
    cores: int
    """Number of cores that this server may use."""
    warp_threads: int
    """Number of threads that share a warp on the CPU."""
    thread_s: Mapping[str, float] = field(default_factory=dict)
    """Time on a core for a warp on a GPU, by device; 0 for devices that are not listed."""
    locked_s: Mapping[str, float] = field(default_factory=dict)
    """Fraction of that time that holds the interpreter lock."""

    @property
    def limits(self) -> Mapping[str, float]:
        """Frames per second that each resource permits without other load."""
        on_cores_s = self._mean(self._cores_s) + self.encode_s + _LOOP_S
        locked_s = self._mean(lambda device: self.locked_s.get(device, 0.0)) + _LOOP_S
        return {
            # Viewers are spread evenly over the devices, so the slowest one sets the limit.
            "devices": len(self.warp_s) / max(self.warp_s.values()),
            "cores": self.cores / on_cores_s,
            "event loop": 1 / locked_s,
        }

    @property
    def frames_per_s(self) -> float:
        """Frames per second that the machine can produce without other load."""
        return min(self.limits.values())

    @property
    def limit(self) -> str:
        """The resource that sets the limit."""
        limits = self.limits
        return min(limits, key=limits.__getitem__)

    def on(self, devices: Sequence[str]) -> FrameTimes:
        """Return the times of other devices: one that was not timed counts as the slowest one."""
        slowest = max(self.warp_s, key=self.warp_s.__getitem__)

        def moved(times: Mapping[str, float]) -> dict[str, float]:
            known = {name: times.get(name, times.get(slowest)) for name in devices}
            return {name: seconds for name, seconds in known.items() if seconds is not None}

        return replace(
            self,
            warp_s=moved(self.warp_s),
            thread_s=moved(self.thread_s),
            locked_s=moved(self.locked_s),
        )

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
            "frames_per_s": {name: round(limit) for name, limit in self.limits.items()},
            "limit": self.limit,
        }

    def _cores_s(self, device: str) -> float:
        if device == CPU:
            return self.warp_s[CPU] * self.warp_threads
        return self.thread_s.get(device, 0.0)

    def _mean(self, seconds: Callable[[str], float]) -> float:
        return sum(map(seconds, self.warp_s)) / len(self.warp_s)


async def find_capacity(
    pool: RenderPool,
    admission: Admission,
    fps: float,
    executor: Executor,
    cores: int | None = None,
) -> None:
    """Measure the capacity and set the session limit, now and whenever a device fails or returns.

    Waits for the first worker, because all cores are busy until then.

    Args:
        pool: The pool to measure.
        admission: Gets the limit.
        fps: Maximum frames per second of a viewer.
        executor: Threads to encode in.
        cores: Cores that this server may use; None for those that it may run on.
    """
    while not pool.ready:
        try:
            await pool.wait_ready(_WAIT_READY_S)
        except NotReadyError:
            continue  # reported by `readyz`
    times = await measure(pool, executor, cores)

    def update() -> None:
        if pool.devices:
            now = times.on(pool.devices)
            admission.set_capacity(now.viewers(fps), now.describe())
            _log(now, admission.capacity, fps)

    update()  # also for changes during the measurement
    pool.on_devices_changed.append(update)


def _log(times: FrameTimes, capacity: int, fps: float) -> None:
    logger.info(
        "capacity: %d viewers at %g frames per second, limited by the %s; a warp takes %s ms, "
        "encoding %.1f ms",
        capacity,
        min(fps, SMOOTH_FPS),
        times.limit,
        ", ".join(f"{s * 1e3:.1f} ({name})" for name, s in times.warp_s.items()),
        times.encode_s * 1e3,
    )


async def measure(pool: RenderPool, executor: Executor, cores: int | None = None) -> FrameTimes:
    """Time warps and encoding for about half a second."""
    benchmarks = await pool.benchmark_warps(BENCHMARK_S)
    images = next(iter(benchmarks.values())).images
    loop = asyncio.get_running_loop()
    device = next(iter(benchmarks))
    encode_s = await loop.run_in_executor(executor, _time_encoding, images, device)
    cores = cores or available_cores()
    gpus = {name: benchmark for name, benchmark in benchmarks.items() if name != CPU}
    return FrameTimes(
        {name: benchmark.warp_s for name, benchmark in benchmarks.items()},
        encode_s,
        cores,
        default_warp_threads(cores),
        {name: benchmark.thread_s for name, benchmark in gpus.items()},
        {name: benchmark.locked_s for name, benchmark in gpus.items()},
    )


def _time_encoding(images: Sequence[Nv12Image], device: str) -> float:
    """Return the median time of a core that encoding an image takes, seconds."""
    width = images[0].shape[1]
    height = len(images[0]) * 2 // 3
    bitrate = default_bitrate(width, height)
    encoder = H264Encoder(
        width,
        height,
        fps=SMOOTH_FPS,
        bitrate=bitrate,
        highest_bitrate=bitrate,
        open_codec=choose_h264(device),
    )
    times = []
    for index, image in enumerate(images):
        began = time.thread_time()  # x264 encodes in the calling thread
        # 3000 ticks of 90 kHz: the images of a video of `SMOOTH_FPS`.
        encoder.encode(image, 3000 * index, key_frame=index == 0)
        times.append(time.thread_time() - began)
    return median(times)
