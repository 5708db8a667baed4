"""How many viewers this machine can give a fluid picture to, measured once at the start.

What runs out first is the warp (the README's load table), so it is timed as it will run: the avatar
with the largest picture, on every device, in its own thread; then the encoder on those pictures.
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

FLUID_FPS = 30.0
"""A place is worth having at this rate; fewer viewers get up to `--fps`."""
TRIAL_S = 0.4
"""How long the warps are timed."""
_LOOP_S = 0.0012
"""The event loop's share of a frame: 3.5 % of a core at 30 a second (the README's load table)."""
_USABLE = 0.6
"""Part of what the figures promise that viewers may have. Workers and the system take theirs, and a
warp is slower beside all of them than alone: three viewers on the README's two cores."""
_WAIT_S = 60.0


@dataclass(frozen=True)
class Costs:
    """What one viewer's frame takes, seconds."""

    warp_s: Mapping[str, float]
    """On each device."""
    encode_s: float
    cores: int
    """Of this machine."""
    warp_threads: int
    """That share a warp on the CPU."""

    @property
    def frames_per_s(self) -> float:
        """How many such frames the machine makes while it does nothing else.

        Viewers are spread evenly over devices, so the slowest one decides.
        """
        devices = len(self.warp_s)
        cpu_warp_s = self.warp_s.get("cpu", 0.0) * self.warp_threads / devices
        on_cores_s = cpu_warp_s + self.encode_s + _LOOP_S
        return min(devices / max(self.warp_s.values()), self.cores / on_cores_s, 1 / _LOOP_S)

    def viewers(self, fps: float) -> int:
        """How many can be given so many frames a second each; one at least.

        Args:
            fps: The most a viewer gets; more than `FLUID_FPS` are not promised to all.
        """
        return max(1, math.floor(_USABLE * self.frames_per_s / min(fps, FLUID_FPS)))

    def describe(self) -> dict[str, object]:
        """The figures, as JSON values."""
        return {
            "warp_ms": {name: round(s * 1e3, 2) for name, s in self.warp_s.items()},
            "encode_ms": round(self.encode_s * 1e3, 2),
            "cores": self.cores,
        }


async def find_capacity(
    pool: RenderPool, admission: Admission, fps: float, executor: Executor
) -> None:
    """Measure once a worker is ready, for until then all cores are busy, and set the places."""
    while not pool.ready:
        try:
            await pool.wait_ready(_WAIT_S)
        except NotReadyError:
            continue  # it is said in `readyz`
    costs = await measure(pool, executor)
    admission.measured(costs.viewers(fps), costs.describe())
    logger.info(
        "room for %d viewers at %g frames a second: a warp takes %s ms, encoding %.1f ms",
        admission.capacity,
        min(fps, FLUID_FPS),
        ", ".join(f"{s * 1e3:.1f} ({name})" for name, s in costs.warp_s.items()),
        costs.encode_s * 1e3,
    )


async def measure(pool: RenderPool, executor: Executor) -> Costs:
    """Time warps and encoding, for about half a second."""
    trials = await pool.try_warps(TRIAL_S)
    pictures = next(iter(trials.values())).pictures
    loop = asyncio.get_running_loop()
    encode_s = await loop.run_in_executor(executor, _time_encoding, pictures)
    cores = available_cores()
    return Costs(
        {device: trial.warp_s for device, trial in trials.items()},
        encode_s,
        cores,
        default_warp_threads(cores),
    )


def _time_encoding(pictures: Sequence[RgbImage]) -> float:
    """The median time of a picture, seconds."""
    height, width = pictures[0].shape[:2]
    bitrate = default_bitrate(width, height)
    encoder = H264Encoder(
        width,
        height,
        fps=FLUID_FPS,
        bitrate=bitrate,
        highest_bitrate=bitrate,
        open_codec=choose_h264(),
    )
    times = []
    for number, picture in enumerate(pictures):
        began = time.perf_counter()
        encoder.encode(picture, 3000 * number, key_frame=number == 0)
        times.append(time.perf_counter() - began)
    return median(times)
