"""Checks with other programs and libraries, where they are installed."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys

from scripts.gpu_checks.check import SkipError, Target, Values, expect
from scripts.gpu_checks.interpreter import use_interpreter

_LONGEST_S = 50
_SIZE, _INTERPRETED_SIZE = 512, 64
"""Rows and columns of the frames; the interpreter takes a second per kernel."""
_LARGER_NETWORK, _LARGER_SIZE = 2.0, 64
"""Networks of this size, and rows and columns of their frames: the references run on a CPU."""


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
    """Compare each kernel with its reference implementation; without a GPU, in the interpreter.

    With the networks of the shipped avatar, and with larger ones, which take other code.
    """
    if not target.is_gpu:
        use_interpreter()
    try:
        kernel_check = importlib.import_module("models.runtime.kernel_check")
    except ImportError as exc:
        raise SkipError(f"no kernels for GPUs: {exc}") from exc
    import torch

    from models.avatar.folder import SHIPPED
    from scripts.benchmarking.avatars import load_resized, load_widened

    folder, device = SHIPPED / "default", torch.device(target.device)
    avatars = {
        "shipped": load_resized(folder, _SIZE if target.is_gpu else _INTERPRETED_SIZE),
        "larger": load_widened(folder, _LARGER_SIZE, _LARGER_NETWORK),
    }
    values: Values = {}
    wrong = []
    for name, avatar in avatars.items():
        compared = kernel_check.compare_kernels(avatar, device)
        values[name] = {key: f"{c.largest:.2g} of {c.allowed:g}" for key, c in compared.items()}
        wrong += [f"{key} ({name})" for key, c in compared.items() if not c.passed]
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
