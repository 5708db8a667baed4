#!/usr/bin/env python
"""Compile the CUDA kernels to machine code, without a GPU, and print their use of resources.

    scripts/compile_kernels.py [--avatar FOLDER] [--architecture 90] [--json]

Prints registers per thread, bytes of spilled registers per thread and bytes of shared memory per
program, by kernel and compute capability. Exits with status 1 if a kernel spills. Needs the package
triton (`pip install 'telewarp[cuda]'`; torch's CUDA build brings it along).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.avatar.folder import load_avatar
from models.kernels.cuda.machine_code import ARCHITECTURES, Usage, compile_frame
from models.kernels.cuda.parameters import FrameParameters
from models.runtime.telewarp_cuda import live_model
from models.runtime.telewarp_torch import TelewarpTorchRuntime

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
    parser.add_argument("--json", action="store_true", help="print one JSON object per kernel")
    arguments = parser.parse_args()
    spilled = False
    for usage in compile_all(arguments.avatar, tuple(arguments.architecture or ARCHITECTURES)):
        print(json.dumps(usage._asdict()) if arguments.json else describe(usage), flush=True)
        spilled |= usage.spilled > 0
    return int(spilled)


def compile_all(avatar: Path, architectures: tuple[int, ...]) -> list[Usage]:
    """Compile the kernels of an avatar for some architectures."""
    loaded = load_avatar(avatar)
    runtime = TelewarpTorchRuntime(loaded, torch.device("cpu"))
    words = FrameParameters(loaded.head, loaded.manifest.resolution, 1, pinned=False).words
    model = live_model(runtime)
    return [
        usage
        for architecture in architectures
        for usage in compile_frame(model, words, architecture)
    ]


def describe(usage: Usage) -> str:
    """Return a human-readable line."""
    return (
        f"sm_{usage.architecture:<4} {usage.kernel:<16} {usage.registers:4} registers "
        f"{usage.spilled:5} bytes spilled {usage.shared:7} bytes shared"
    )


if __name__ == "__main__":
    sys.exit(main())
