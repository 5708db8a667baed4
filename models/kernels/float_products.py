"""The products of `vectors.add_products` for float32, on any CPU.

LLVM turns a multiplication and an addition into one instruction where the CPU has one, and vectors
into those of the CPU's width.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from models.kernels.llvm_vectors import FLOAT, INDEX, OUTPUTS, broadcast, data_of, load, store

PIXELS = 6
"""Pixels per call of `add_products`. Times `_AT_ONCE` that is 12 vectors of sums, which stay in the
16 registers of AVX2 beside two of weights and one of inputs. With fewer than 8 vectors of sums an
addition would have to wait for the one before it."""

_LANES = 8
"""float32 values in a vector of AVX2."""
_AT_ONCE = 2 * _LANES
_FLOATS = ir.VectorType(FLOAT, _LANES)
_FUSED = ("contract",)
"""Lets LLVM fuse a multiplication with an addition, and change nothing else."""


def add_floats(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
    """Generate `vectors.add_products` for float32; arguments as numba passes them."""
    _, start, stride, _, weight_start, count, _, sums_start = arguments
    values, matrix, out = (data_of(context, builder, signature, arguments, n) for n in (0, 3, 6))
    pixels = [builder.add(start, builder.mul(stride, INDEX(p))) for p in range(PIXELS)]
    for first in range(0, OUTPUTS, _AT_ONCE):
        positions = [
            builder.add(sums_start, INDEX(OUTPUTS * p + first + offset))
            for p in range(PIXELS)
            for offset in range(0, _AT_ONCE, _LANES)
        ]
        # LLVM keeps these in registers for the whole loop.
        totals = [cgutils.alloca_once(builder, _FLOATS) for _ in positions]
        for position, total in zip(positions, totals, strict=True):
            builder.store(load(builder, out, position, _FLOATS, 4), total)
        with cgutils.for_range(builder, count, intp=INDEX) as loop:
            row = builder.mul(builder.add(weight_start, loop.index), INDEX(OUTPUTS))
            parts = [
                load(builder, matrix, builder.add(row, INDEX(first + offset)), _FLOATS, 4)
                for offset in range(0, _AT_ONCE, _LANES)
            ]
            for p, pixel in enumerate(pixels):
                value = builder.load(builder.gep(values, [builder.add(pixel, loop.index)]))
                lanes = broadcast(builder, value, _LANES)
                for n, part in enumerate(parts):
                    total = totals[p * len(parts) + n]
                    product = builder.fmul(part, lanes, flags=_FUSED)
                    added = builder.fadd(builder.load(total), product, flags=_FUSED)
                    builder.store(added, total)
        for position, total in zip(positions, totals, strict=True):
            store(builder, builder.load(total), out, position, 4)
    return context.get_dummy_value()
