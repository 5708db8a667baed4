"""Compiles kernels to machine code without a GPU, and reads what resources they use.

Signatures come from recorded launches, so the compiled kernels are the launched ones.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from models.kernels.cuda.launch import Argument, Launched, LaunchRecorder
from models.kernels.cuda.live_path import LiveModel, LivePath

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities of torch's CUDA build, times ten: Turing to Blackwell."""
FIRST_WITH_BFLOAT16 = 80

_WARP = 32
_ALIGNMENT = 16
"""Bytes of tensors' addresses, and the multiple of integers, that the compiler makes use of."""
_TYPES = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.uint8: "u8",
}
_OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")
_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:\d+ LOCAL:(\d+)")


class Usage(NamedTuple):
    """Resources of one kernel on one architecture."""

    kernel: str
    architecture: int
    registers: int
    """Per thread."""
    spilled: int
    """Bytes of memory per thread for what did not fit into registers."""
    shared: int
    """Bytes of shared memory per program."""


def record_launches(model: LiveModel, words: int) -> list[Launched]:
    """Return the launches of a frame to both formats, without running them.

    Args:
        model: An avatar.
        words: Length of a row of parameters, 8-byte words.
    """
    tensors: dict[str, Any] = {
        name: part.to("meta") for name, part in model._asdict().items() if isinstance(part, Tensor)
    }
    nowhere = model._replace(**tensors)
    recorder = LaunchRecorder()
    path = LivePath(nowhere, 1, words, run=recorder)
    path.render()
    path.compose_nv12()
    return recorder.launched


def in_precision(model: LiveModel, dtype: torch.dtype) -> LiveModel:
    """Return a model whose convolutions have another precision."""
    weights = model.live_weight.to(dtype), model.hidden_weight.to(dtype)
    return model._replace(live_weight=weights[0], hidden_weight=weights[1])


def compile_frame(
    model: LiveModel, words: int, architecture: int, kernels: Collection[str] = ()
) -> Iterator[Usage]:
    """Compile the kernels of a frame, in the precision that an architecture gets.

    Args:
        model: An avatar.
        words: Length of a row of parameters, 8-byte words.
        architecture: One of `ARCHITECTURES`.
        kernels: Names of kernels; empty for all.
    """
    bfloat16 = architecture >= FIRST_WITH_BFLOAT16
    precise = in_precision(model, torch.bfloat16 if bfloat16 else torch.float16)
    for launched in record_launches(precise, words):
        if not kernels or launched.name in kernels:
            yield compile_launch(launched, architecture)


def compile_launch(launched: Launched, architecture: int) -> Usage:
    """Compile a kernel as it was launched, and return what its machine code uses."""
    options = {name: launched.constants[name] for name in _OPTIONS if name in launched.constants}
    constants = {k: v for k, v in launched.constants.items() if k not in options}
    names = launched.kernel.arg_names
    runtime = names[: len(launched.arguments)]
    arguments = dict(zip(runtime, launched.arguments, strict=True))
    signature = {
        name: "constexpr" if name in constants else _signature(arguments[name]) for name in names
    }
    indices = {name: (names.index(name),) for name in names}
    aligned = {
        indices[name]: [["tt.divisibility", _ALIGNMENT]]
        for name in runtime
        if _is_aligned(arguments[name])
    }
    constexprs = {indices[name]: value for name, value in constants.items()}
    source = ASTSource(launched.kernel, signature, constexprs, aligned)
    made: Any = triton.compile(
        source, target=GPUTarget("cuda", architecture, _WARP), options=options
    )
    registers, spilled = _read_resources(made.asm["cubin"])
    return Usage(launched.name, architecture, registers, spilled, made.metadata.shared)


def _read_resources(code: bytes) -> tuple[int, int]:
    """Return registers and bytes of local memory per thread of machine code (cubin)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(code)
        command = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = _USAGE.search(done.stdout)
    assert found is not None, f"expected resources from cuobjdump, got {done.stdout!r}"
    registers, stack, local = (int(number) for number in found.groups())
    return registers, stack + local


def _signature(argument: Argument) -> str:
    """Return Triton's name for the type of an argument."""
    if isinstance(argument, Tensor):
        return f"*{_TYPES[argument.dtype]}"
    return "i32" if isinstance(argument, int) else "fp32"


def _is_aligned(argument: Argument) -> bool:
    """Return whether a launch tells the compiler that an argument is aligned."""
    if isinstance(argument, Tensor):
        return True  # allocators align to more than that
    return isinstance(argument, int) and argument % _ALIGNMENT == 0
