"""Launches, copies and bytes of a frame, counted without a GPU."""

from __future__ import annotations

import importlib

import torch

from models.avatar.folder import SHIPPED, load_avatar
from scripts.benchmarking.avatars import front
from scripts.gpu_checks.check import SkipError, Target, Values, expect

_LAUNCHES, _BYTES_TO = 8, 1000
"""Most launches of a frame, and most bytes to the device."""


def counts(target: Target) -> Values:
    """Count the launches, copies and bytes of a frame, as its CUDA graph records them.

    The launches are recorded instead of executed, so the counts are the same with and without a
    GPU.
    """
    try:
        cuda = importlib.import_module("models.runtime.telewarp_cuda")
        launch = importlib.import_module("models.kernels.cuda.launch")
    except ImportError as exc:
        raise SkipError(f"no kernels for GPUs: {exc}") from exc
    avatar, recorder = load_avatar(SHIPPED / "default"), launch.LaunchRecorder()
    runtime = cuda.TelewarpCudaRuntime(avatar, torch.device("cpu"), recorder)
    cache = {s.name: torch.zeros(s.shape, dtype=s.dtype) for s in runtime.layout}
    values: Values = {}
    for output in cuda.Output:
        recorder.launched.clear()
        renderer = runtime.renderer(1, output)
        renderer.prepare([cuda.frame_input(front(avatar.manifest), cache)])
        renderer.render()
        values[output.value] = {
            "launches": len(recorder.launched),
            "copies": 2,  # of `FrameRenderer`: the parameters, the images
            "bytes_to": renderer.bytes_in,
            "bytes_back": renderer.bytes_out,
        }
        few = len(recorder.launched) <= _LAUNCHES and renderer.bytes_in <= _BYTES_TO
        text = f"at most {_LAUNCHES} launches and {_BYTES_TO} bytes to the device"
        expect(few, f"{output.value}: expected {text}, got {values[output.value]}", values)
    return values
