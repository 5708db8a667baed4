"""Checks with other programs and libraries, where they are installed."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys

from scripts.gpu_checks.check import SkipError, Target, Values, expect

_LONGEST_S = 50
_SIZE, _INTERPRETED_SIZE = 512, 64
"""Rows and columns of the frames; the interpreter takes a second per kernel."""


def encoder(target: Target) -> Values:
    """Open NVENC, or x264 where the GPU has none, and encode a frame."""
    try:
        nvenc = importlib.import_module("server.encoding.nvenc")
        h264 = importlib.import_module("server.encoding.h264")
    except ImportError as exc:
        raise SkipError(f"needs PyAV: {exc}") from exc
    import numpy as np

    encoder = h264.H264Encoder(
        256,
        256,
        fps=60.0,
        bitrate=1_500_000,
        highest_bitrate=3_000_000,
        open_codec=nvenc.choose_h264(target.device),
    )
    packet = encoder.encode(np.full((384, 256), 128, np.uint8), 0, key_frame=True)
    values: Values = {"encoder": encoder._codec.name, "bytes": packet.size}
    expect(packet.is_keyframe, "expected a key frame", values)
    return values


def kernels(target: Target) -> Values:
    """Compare each kernel with its reference implementation; without a GPU, in the interpreter."""
    if not target.is_gpu:
        os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported
    try:
        kernel_check = importlib.import_module("models.runtime.kernel_check")
    except ImportError as exc:
        raise SkipError(f"no kernels for GPUs: {exc}") from exc
    import torch

    from models.avatar.folder import SHIPPED
    from models.runtime.base import network_dtype
    from scripts.benchmarking.avatars import load_resized

    device = torch.device(target.device)
    if not target.is_gpu and network_dtype(device) is not torch.float32:
        raise SkipError("the interpreter cannot multiply bfloat16, which this CPU would use")
    avatar = load_resized(SHIPPED / "default", _SIZE if target.is_gpu else _INTERPRETED_SIZE)
    compared = kernel_check.compare_kernels(avatar, device)
    values: Values = {name: f"{c.largest:.2g} of {c.allowed:g}" for name, c in compared.items()}
    wrong = [name for name, comparison in compared.items() if not comparison.passed]
    expect(not wrong, f"expected the results of the references, got others in {wrong}", values)
    return values


def sanitizer(target: Target) -> Values:
    """Run one warp and one refresh under compute-sanitizer."""
    target.require_gpu("one warp and one refresh under compute-sanitizer, without a complaint")
    program = shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path="/usr/local/cuda/bin"
    )
    if program is None:
        raise SkipError("no compute-sanitizer on this machine")
    command = [program, "--error-exitcode", "9", sys.executable, "-m", "scripts.gpu_checks.run"]
    command += ["correctness", target.device, "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    values: Values = {"said": done.stdout.strip().splitlines()[-3:]}
    expect(done.returncode != 9, f"expected no complaint, got {done.stdout[-2000:]}", values)
    return values
