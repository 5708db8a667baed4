"""Builds engines of real avatars.

Imports no models, so that a process that builds no engine loads no torch and uses no GPU.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from server.pool.interface import CPU, DeviceMemory, Purpose

if TYPE_CHECKING:
    from server.pool.engine import ModelEngine

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
_FIND_S = 120.0
_GPU_FILES = ("nvidia*", "dxg", "nvgpu*", "nvhost-gpu")
"""Device files of NVIDIA's drivers: of a PC, of WSL, and of Jetson boards."""


@dataclass(frozen=True)
class ModelEngineFactory:
    """Builds engines of the avatars in a folder; picklable.

    Args:
        avatars: A folder with one folder per avatar.
        warp_threads: Number of threads that share one warp on a CPU.
        kernels: Kernels that warp on GPUs.
    """

    avatars: Path
    warp_threads: int = 1
    kernels: Literal["auto", "triton", "torch"] = "auto"

    def devices(self, wanted: str) -> tuple[str, ...]:
        """See `EngineFactory`. A subprocess asks the driver, if there may be one."""
        if set(_names(wanted)) == {CPU}:
            return (CPU,)
        return choose_devices(wanted, *find_gpus_in_subprocess())

    def memory(self, device: str) -> DeviceMemory | None:
        """See `EngineFactory`."""
        from server.pool.engine import device_memory

        return device_memory(device)

    def build(self, device: str, threads: int, purpose: Purpose) -> ModelEngine:
        """See `EngineFactory`.

        Raises:
            AvatarError: If no avatar can be loaded.
            RuntimeError: If the GPU cannot be used.
        """
        from server.pool.engine import build_engine

        return build_engine(self.avatars, device, threads, purpose, self.warp_threads, self.kernels)


def find_gpus_in_subprocess(devices: Path = Path("/dev")) -> tuple[tuple[str, ...], str | None]:
    """Return the result of `find_gpus` from a subprocess, because it may load a driver.

    Args:
        devices: The folder of device files; without one of a driver no subprocess is started.
    """
    if not any(next(devices.glob(name), None) for name in _GPU_FILES):
        return (), "none was found"
    command = [sys.executable, "-m", "server.pool.find_gpus"]
    found = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_FIND_S
    )
    if found.returncode:
        return (), f"looking for GPUs failed: {found.stderr.strip()[-200:]}"
    gpus, problem = json.loads(found.stdout)
    return tuple(gpus), problem


def choose_devices(wanted: str, gpus: Sequence[str], problem: str | None) -> tuple[str, ...]:
    """Return the devices that `wanted` names, see `EngineFactory.devices`.

    Args:
        wanted: Option `--device`.
        gpus: GPUs that can be used.
        problem: Reason if there are none.
    """
    if wanted == "auto":
        if not gpus:
            logger.info("no GPU can be used (%s): rendering on the CPU", problem)
        return tuple(gpus) or (CPU,)
    if wanted == "cuda" and gpus:
        return tuple(gpus)
    chosen = _names(wanted)
    if unknown := [name for name in chosen if name not in (CPU, *gpus)]:
        here = ", ".join(("auto", CPU, *gpus))
        reason = f" ({problem})" if problem else ""
        raise ValueError(f"device must be one of {here} here, got {', '.join(unknown)!r}{reason}")
    return chosen


def _names(wanted: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in wanted.split(",")))
