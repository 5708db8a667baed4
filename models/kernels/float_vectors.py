"""The vector instructions of the convolutions for float32, on any CPU.

The counterparts in `vectors.py` take bfloat16. LLVM turns a multiplication and an addition into one
instruction where the CPU has one, and vectors into those of the CPU's width.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from models.kernels.llvm_vectors import (
    FLOAT,
    INDEX,
    OUTPUTS,
    broadcast,
    data_of,
    for_compiled_code,
    load,
    rectified,
    store,
)

PIXELS = 6
"""Pixels per call of `add_floats`. Times `_AT_ONCE` that is 12 vectors of sums, which stay in the
16 registers of AVX2 beside two of weights and one of inputs. With fewer than 8 vectors of sums an
addition would have to wait for the one before it."""

_LANES = 8
"""float32 values in a vector of AVX2."""
_AT_ONCE = 2 * _LANES
_FLOATS = ir.VectorType(FLOAT, _LANES)
_WIDE_FLOATS = ir.VectorType(FLOAT, OUTPUTS)
_FUSED = ("contract",)
"""Lets LLVM fuse a multiplication with an addition, and change nothing else."""


@for_compiled_code
def add_floats(
    context: Any,
    inputs: types.Array,
    start: types.Integer,
    stride: types.Integer,
    weights: types.Array,
    weight_start: types.Integer,
    count: types.Integer,
    sums: types.Array,
    sums_start: types.Integer,
) -> Any:
    """Add products to the 32 sums of 6 pixels.

    `sums[s + 32 p + o] += weights[w + k][o] * inputs[i + stride p + k]` for all p < 6, o < 32 and
    k < `count`.

    Args:
        context: Numba's typing context; not an argument of callers.
        inputs: Contiguous float32.
        start: i, the first pixel.
        stride: Distance from pixel to pixel.
        weights: Contiguous float32, (K, 32).
        weight_start: w, rows of `weights`.
        count: Number of values to sum over.
        sums: Contiguous float32.
        sums_start: s, index in `sums`.
    """
    index = types.intp
    signature = types.void(inputs, index, index, weights, index, index, sums, index)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, start, stride, _, weight_start, count, _, sums_start = arguments
        values, matrix, out = (
            data_of(context, builder, signature, arguments, n) for n in (0, 3, 6)
        )
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

    return signature, generate


@for_compiled_code
def add_terms(
    context: Any,
    values: types.Array,
    values_start: types.Integer,
    added: types.Array,
    added_start: types.Integer,
    sums: types.Array,
    sums_start: types.Integer,
) -> Any:
    """Compute 32 sums of two float32.

    Args:
        context: Numba's typing context; not an argument of callers.
        values: Contiguous float32.
        values_start: Index of the first value.
        added: Contiguous float32.
        added_start: Index of the first value.
        sums: Contiguous float32, filled.
        sums_start: Index of the first value.
    """
    index = types.intp
    signature = types.void(values, index, added, index, sums, index)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data, terms, out = (data_of(context, builder, signature, arguments, n) for n in (0, 2, 4))
        value = load(builder, data, arguments[1], _WIDE_FLOATS, 4)
        value = builder.fadd(value, load(builder, terms, arguments[3], _WIDE_FLOATS, 4))
        store(builder, value, out, arguments[5], 4)
        return context.get_dummy_value()

    return signature, generate


@for_compiled_code
def rectify(
    context: Any,
    sums: types.Array,
    sums_start: types.Integer,
    values: types.Array,
    values_start: types.Integer,
) -> Any:
    """Compute the ReLU of 32 float32 values.

    Args:
        context: Numba's typing context; not an argument of callers.
        sums: Contiguous float32.
        sums_start: Index of the first value.
        values: Contiguous float32, filled.
        values_start: Index of the first value.
    """
    signature = types.void(sums, types.intp, values, types.intp)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data, out = (data_of(context, builder, signature, arguments, n) for n in (0, 2))
        value = load(builder, data, arguments[1], _WIDE_FLOATS, 4)
        value = rectified(builder, value)
        store(builder, value, out, arguments[3], 4)
        return context.get_dummy_value()

    return signature, generate
