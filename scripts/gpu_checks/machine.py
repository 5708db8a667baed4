"""Versions of the machine's software and devices, and recovery from an illegal access."""

from __future__ import annotations

import importlib
import subprocess
import sys

from scripts.gpu_checks.check import Target, Values, expect


def versions(target: Target) -> Values:
    """Report the versions and devices that the other checks' figures apply to."""
    values: Values = {"python": sys.version.split()[0]}
    for name in ("torch", "triton", "numba", "av"):
        try:
            values[name] = importlib.import_module(name).__version__
        except ImportError:
            values[name] = None
    if target.is_gpu:
        import torch

        properties = torch.cuda.get_device_properties(target.device)
        values |= {
            "gpu": properties.name,
            "capability": list(torch.cuda.get_device_capability(target.device)),
            "memory_gb": round(properties.total_memory / 1e9, 1),
            "cuda": torch.version.cuda,
        }
    return values


def illegal_access(target: Target) -> Values:
    """Break the context of a device in one process, and use the device in another."""
    target.require_gpu("a kernel that reads out of bounds ends the use of the GPU by its process")
    lost = _python(target, _LOSE)
    values: Values = {"said": lost.stdout.strip().splitlines()}
    expect("probe: " in lost.stdout, f"expected a probe that fails, got {lost}", values)
    after = _python(target, _USE)
    expect(after.returncode == 0, f"expected the next process to work, got {after.stderr}", values)
    return values


_USE = "import sys, torch; print(torch.zeros(1, device=sys.argv[1]).add_(1).item())"
_LOSE = """
import sys, torch
device = torch.device(sys.argv[1])
try:
    torch.zeros(4, device=device)[torch.tensor([1 << 40], device=device)].sum().item()
except RuntimeError as exc:
    print("error:", str(exc).splitlines()[0])
from scripts.gpu_checks.plain_files import provide_missing_packages
provide_missing_packages()
from server.pool.engine import probe
try:
    probe(device)
except RuntimeError as exc:
    print("probe:", str(exc).splitlines()[0])
"""


def _python(target: Target, program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, target.device]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)
