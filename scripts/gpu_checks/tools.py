"""What is checked with other programs and libraries, where there are any."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import subprocess
import sys

from scripts.gpu_checks.check import SkipError, Target, Values, expect

_LONGEST_S = 50


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
    packet = encoder.encode(np.full((256, 256, 3), 90, np.uint8), 0, key_frame=True)
    values: Values = {"encoder": encoder._codec.name, "bytes": packet.size}
    expect(packet.is_keyframe, "expected a key frame", values)
    return values


def kernels(target: Target) -> Values:
    """Compare the kernels with their plain twins on the device."""
    folder = "tests/models/kernels/cuda"
    if importlib.util.find_spec("models.kernels.cuda") is None:
        raise SkipError(f"no kernels for GPUs; would run {folder} on the device")
    if importlib.util.find_spec("pytest") is None:
        raise SkipError(f"needs pytest; would run {folder}")
    command = [sys.executable, "-m", "pytest", "-q", "-x", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    values: Values = {"said": done.stdout.strip().splitlines()[-1:]}
    expect(done.returncode == 0, f"expected green tests, got {done.stdout[-2000:]}", values)
    return values


def sanitizer(target: Target) -> Values:
    """Run one warp and one refresh under compute-sanitizer."""
    target.require_gpu("one warp and one refresh under compute-sanitizer, without a complaint")
    program = shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path="/usr/local/cuda/bin"
    )
    if program is None:
        raise SkipError("no compute-sanitizer on this machine")
    command = [program, "--error-exitcode", "9", sys.executable, "-m", "scripts.gpu_checks"]
    command += ["correctness", target.device, "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    values: Values = {"said": done.stdout.strip().splitlines()[-3:]}
    expect(done.returncode != 9, f"expected no complaint, got {done.stdout[-2000:]}", values)
    return values
