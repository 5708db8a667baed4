"""Chooses the runtime for an avatar's networks on a device."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState, default_state
from models.networks.avatar_networks import TelewarpNetworks
from models.runtime.base import Runtime
from models.runtime.paper import PaperRuntime
from models.runtime.telewarp_cpu import TelewarpCpuRuntime
from models.runtime.telewarp_torch import TelewarpTorchRuntime

logger = logging.getLogger(__name__)

Kernels = Literal["auto", "triton", "torch"]
"""What warps on GPUs: the kernels of `kernels/cuda`, plain torch, or the first that works."""


def build_runtime(
    avatar: Avatar, device: torch.device, warp_threads: int, kernels: Kernels
) -> Runtime:
    """Return the runtime for an avatar's networks on a device."""
    if not isinstance(avatar.networks, TelewarpNetworks):
        return PaperRuntime(avatar, device)
    if device.type == "cpu":
        return TelewarpCpuRuntime(avatar, warp_threads)
    return gpu_runtime(avatar, device, kernels)


def gpu_runtime(avatar: Avatar, device: torch.device, kernels: Kernels) -> Runtime:
    """Return the runtime for our networks on a GPU.

    `auto` uses the Triton kernels if one frame of theirs equals plain torch's on this device.

    Raises:
        Exception: Whatever prevents `triton`: no such package, no C compiler, an old GPU.
    """
    if kernels == "torch":
        return TelewarpTorchRuntime(avatar, device)
    try:
        # Imported here, because triton is installed only where there may be a GPU.
        from models.runtime.telewarp_cuda import TelewarpCudaRuntime

        runtime = TelewarpCudaRuntime(avatar, device)
        runtime.check(*_test_states(avatar))
    except Exception as exc:
        if kernels == "triton":
            raise
        # Slower but right; package, compiler, driver and GPU fail in too many ways to list.
        logger.warning("plain torch warps on %s: %s: %s", device, type(exc).__name__, exc)
        return TelewarpTorchRuntime(avatar, device)
    return runtime


def _test_states(avatar: Avatar) -> tuple[FrameState, FrameState]:
    """Return the neutral face, and the same head turned."""
    front = default_state(avatar.manifest)
    return front, replace(front, head_rotation=np.array([0, 0.1, 0, 0.995], np.float32))
