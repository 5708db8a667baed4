"""Machine code of the kernels for every architecture of torch's CUDA build, made without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
KERNELS = [
    "begin_frame", "draw", "cross_edges", "blend_edges", "resolve", "extend", "convolve", "compose",
    "compose_nv12",
]  # fmt: skip
OF_NETWORK_SIZE = ["begin_frame", "convolve"]
"""The kernels whose machine code depends on the size of the networks."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_kernel_compiles_for_every_architecture_without_spilling_registers() -> None:
    usages = compile_kernels()
    assert [(usage["architecture"], usage["kernel"]) for usage in usages] == [
        (architecture, kernel)
        for architecture in (75, 80, 86, 89, 90, 100, 120)
        for kernel in KERNELS
    ]
    check_resources(usages)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kernels_of_networks_of_size_two_spill_no_registers_either() -> None:
    """The size for which the speed on a GPU has goals; the shipped networks have size 0.25."""
    names = [option for kernel in OF_NETWORK_SIZE for option in ("--kernel", kernel)]
    usages = compile_kernels("--network-size", "2", *names)
    assert len(usages) == 7 * len(OF_NETWORK_SIZE)
    check_resources(usages)


def compile_kernels(*options: str) -> list[dict[str, Any]]:
    # In a separate process, because this one uses triton's interpreter.
    command = [sys.executable, "scripts/compile_kernels.py", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_resources(usages: list[dict[str, Any]]) -> None:
    assert [usage for usage in usages if usage["spilled"]] == []
    assert all(0 < usage["registers"] < 255 for usage in usages)
    # The limit of every architecture; Turing has the lowest.
    assert all(usage["shared"] <= 48 * 1024 for usage in usages)
