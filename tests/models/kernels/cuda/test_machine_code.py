"""Machine code of the kernels for every architecture of torch's CUDA build, made without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
KERNELS = [
    "begin_frame", "draw", "cross_edges", "blend_edges", "resolve", "extend", "convolve", "compose",
    "compose_nv12",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_kernel_compiles_for_every_architecture_without_spilling_registers() -> None:
    # In a separate process, because this one uses triton's interpreter.
    command = [sys.executable, "scripts/compile_kernels.py", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    usages = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr[-3000:]
    assert [(usage["architecture"], usage["kernel"]) for usage in usages] == [
        (architecture, kernel)
        for architecture in (75, 80, 86, 89, 90, 100, 120)
        for kernel in KERNELS
    ]
    assert [usage for usage in usages if usage["spilled"]] == []
    assert all(0 < usage["registers"] < 255 for usage in usages)
    # The limit of every architecture; Turing has the lowest.
    assert all(usage["shared"] <= 48 * 1024 for usage in usages)
