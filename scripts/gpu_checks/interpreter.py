"""Triton's interpreter in place of a GPU, for dry runs."""

from __future__ import annotations

import os
import sys

import torch


def use_interpreter() -> None:
    """Run the kernels of this process in the interpreter, and all networks in float32.

    The interpreter cannot multiply bfloat16, which networks use on some CPUs. Triton must not have
    been imported yet: it reads the variable then.
    """
    assert "triton" not in sys.modules
    os.environ["TRITON_INTERPRET"] = "1"
    from models.runtime import telewarp_torch

    vars(telewarp_torch).update(network_dtype=lambda device: torch.float32)
