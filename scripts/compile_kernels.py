#!/usr/bin/env python
"""Compile the CUDA kernels to machine code, without a GPU, and print their use of resources.

    scripts/compile_kernels.py [--avatar FOLDER] [--architecture 90] [--json]
    scripts/compile_kernels.py --network-size 2 --kernel convolve --kernel begin_frame

Prints registers per thread, bytes of spilled registers per thread and bytes of shared memory per
program, by kernel and compute capability. With `--network-size` the networks are random ones of
that size; the kernels `begin_frame` and `convolve` depend on it, the others do not. Exits with
status 1 if a kernel spills. Needs the package triton (`pip install 'telewarp[cuda]'`; torch's CUDA
build brings it along).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.avatar.folder import Avatar, load_avatar
from models.kernels.cuda.machine_code import ARCHITECTURES, Usage, compile_frame
from models.kernels.cuda.parameters import FrameParameters
from models.runtime.telewarp_cuda import live_model
from models.runtime.telewarp_torch import TelewarpTorchRuntime
from scripts.benchmarking.avatars import load_widened

DEFAULT_AVATAR = Path(__file__).resolve().parents[1] / "models/avatars/default"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--avatar", type=Path, default=DEFAULT_AVATAR)
    parser.add_argument(
        "--architecture", type=int, action="append", choices=ARCHITECTURES,
        help="compute capability times ten; all by default, may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--network-size", type=float, help="size n of random networks; default: the avatar's own"
    )
    parser.add_argument(
        "--kernel", action="append", help="name of a kernel; all by default, may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per kernel")
    arguments = parser.parse_args()
    avatar = _load(arguments.avatar, arguments.network_size)
    architectures = tuple(arguments.architecture or ARCHITECTURES)
    spilled: list[bool] = []
    for usage in compile_all(avatar, architectures, frozenset(arguments.kernel or ())):
        print(json.dumps(usage._asdict()) if arguments.json else describe(usage), flush=True)
        spilled.append(usage.spilled > 0)
    if not spilled:
        parser.error(f"expected names of kernels, got {', '.join(arguments.kernel)}")
    return int(any(spilled))


def _load(folder: Path, network_size: float | None) -> Avatar:
    avatar = load_avatar(folder)
    if network_size is None:
        return avatar
    return load_widened(folder, avatar.manifest.resolution, network_size)


def compile_all(
    avatar: Avatar, architectures: tuple[int, ...], kernels: frozenset[str]
) -> Iterator[Usage]:
    """Compile some kernels of an avatar, or all if none is named, for some architectures."""
    runtime = TelewarpTorchRuntime(avatar, torch.device("cpu"))
    words = FrameParameters(avatar.head, avatar.manifest.resolution, 1, pinned=False).words
    model = live_model(runtime)
    for architecture in architectures:
        yield from compile_frame(model, words, architecture, kernels)


def describe(usage: Usage) -> str:
    """Return a human-readable line."""
    return (
        f"sm_{usage.architecture:<4} {usage.kernel:<16} {usage.registers:4} registers "
        f"{usage.spilled:5} bytes spilled {usage.shared:7} bytes shared"
    )


if __name__ == "__main__":
    sys.exit(main())
