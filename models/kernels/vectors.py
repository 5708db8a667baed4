"""Vector instructions for numba kernels, where its compiler does not find them by itself.

Numba knows no vectors, so each of these is a loop body written in LLVM's language. They check no
bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

PIXELS = 8
"""`add_products` makes so many pixels at once: with `OUTPUTS`, as many sums as registers hold."""
OUTPUTS = 32
"""Outputs per pixel of `add_products`."""
TEXELS = 8
"""Channels of a `mix_texels`."""

_LANES = 16
_INT = ir.IntType(32)
_INDEX = ir.IntType(64)
_FLOAT = ir.FloatType()
_FLOATS = ir.VectorType(_FLOAT, _LANES)
_INTS = ir.VectorType(_INT, _LANES)
_SHORTS = ir.VectorType(ir.IntType(16), OUTPUTS)
_WIDE_INTS = ir.VectorType(_INT, OUTPUTS)
_WIDE_FLOATS = ir.VectorType(_FLOAT, OUTPUTS)


class _BFloat(ir.types._BaseFloatType):  # type: ignore[misc]
    """LLVM's bfloat16, which llvmlite has no name for."""

    null = "0.0"
    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"


def _for_compiled_code(generate: Any) -> Any:
    """`intrinsic`, whose own type shows callers the compiler's arguments and not theirs."""
    return intrinsic(generate)


_BFloat._create_instance()
_PAIRS = ir.VectorType(_BFloat(), 2 * _LANES)


@_for_compiled_code
def add_products(
    context: Any,
    inputs: types.Array,
    start: types.Integer,
    stride: types.Integer,
    weights: types.Array,
    weight_start: types.Integer,
    pairs: types.Integer,
    sums: types.Array,
    sums_start: types.Integer,
) -> Any:
    """In compiled code: add products of bfloat16 pairs to 8 pixels' 32 sums (AVX512-BF16).

    `sums[s + 32 p + o] += weights[w + k][o] . inputs[i + stride p + k]` for all p < 8, o < 32 and
    k < `pairs`, where . multiplies a pair by a pair and adds the two products.

    Args:
        context: Numba's.
        inputs: Contiguous bits of bfloat16.
        start: i, in pairs.
        stride: From pixel to pixel, in pairs.
        weights: Contiguous bits of bfloat16, (K, 32) pairs.
        weight_start: w.
        pairs: How many to sum over.
        sums: Contiguous float32.
        sums_start: s.
    """
    index = types.intp
    signature = types.void(inputs, index, index, weights, index, index, sums, index)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, start, stride, _, weight_start, pairs, _, sums_start = arguments
        data = [_data(context, builder, signature, arguments, n) for n in (0, 3, 6)]
        values, matrix = (builder.bitcast(part, _INT.as_pointer()) for part in data[:2])
        places = [
            builder.add(sums_start, _INDEX(_LANES * n)) for n in range(PIXELS * OUTPUTS // _LANES)
        ]
        totals = [cgutils.alloca_once(builder, _FLOATS) for _ in places]
        for place, total in zip(places, totals, strict=True):
            builder.store(_load(builder, data[2], place, _FLOATS, 4), total)
        pixels = [builder.add(start, builder.mul(stride, _INDEX(p))) for p in range(PIXELS)]
        with cgutils.for_range(builder, pairs, intp=_INDEX) as loop:
            row = builder.mul(builder.add(weight_start, loop.index), _INDEX(OUTPUTS))
            halves = [
                _load(builder, matrix, builder.add(row, _INDEX(offset)), _INTS, 4)
                for offset in range(0, OUTPUTS, _LANES)
            ]
            for p, pixel in enumerate(pixels):
                pair = builder.load(builder.gep(values, [builder.add(pixel, loop.index)]), align=2)
                everywhere = _spread(builder, pair)
                for h, half in enumerate(halves):
                    total = totals[p * len(halves) + h]
                    _add_product(builder, total, half, everywhere)
        for place, total in zip(places, totals, strict=True):
            _store(builder, builder.load(total), data[2], place, 4)
        return context.get_dummy_value()

    return signature, generate


@_for_compiled_code
def widen_and_add(
    context: Any,
    bits: types.Array,
    bits_start: types.Integer,
    added: types.Array,
    added_start: types.Integer,
    sums: types.Array,
    sums_start: types.Integer,
) -> Any:
    """In compiled code: 32 sums of bfloat16 and float32 numbers.

    Args:
        context: Numba's.
        bits: Contiguous bits of bfloat16.
        bits_start: Where in it.
        added: Contiguous float32.
        added_start: Where in it.
        sums: Contiguous float32, filled.
        sums_start: Where in it.
    """
    index = types.intp
    signature = types.void(bits, index, added, index, sums, index)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data, terms, out = (_data(context, builder, signature, arguments, n) for n in (0, 2, 4))
        narrow = _load(builder, data, arguments[1], _SHORTS, 2)
        sixteen = ir.Constant(_WIDE_INTS, [16] * OUTPUTS)
        high = builder.shl(builder.zext(narrow, _WIDE_INTS), sixteen)
        value = builder.bitcast(high, _WIDE_FLOATS)
        value = builder.fadd(value, _load(builder, terms, arguments[3], _WIDE_FLOATS, 4))
        _store(builder, value, out, arguments[5], 4)
        return context.get_dummy_value()

    return signature, generate


@_for_compiled_code
def rectify_and_narrow(
    context: Any,
    sums: types.Array,
    sums_start: types.Integer,
    bits: types.Array,
    bits_start: types.Integer,
) -> Any:
    """In compiled code: ReLU of 32 float32 numbers, as bfloat16 to the nearest.

    Args:
        context: Numba's.
        sums: Contiguous float32.
        sums_start: Where in it.
        bits: Contiguous bits of bfloat16, filled.
        bits_start: Where in it.
    """
    signature = types.void(sums, types.intp, bits, types.intp)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data, out = (_data(context, builder, signature, arguments, n) for n in (0, 2))
        value = _load(builder, data, arguments[1], _WIDE_FLOATS, 4)
        zeros = ir.Constant(_WIDE_FLOATS, None)
        value = builder.select(builder.fcmp_ordered(">", value, zeros), value, zeros)
        # Ties go up, as everywhere (`bfloat16.from_float`).
        rounded = builder.add(
            builder.bitcast(value, _WIDE_INTS), ir.Constant(_WIDE_INTS, [0x8000] * OUTPUTS)
        )
        high = builder.lshr(rounded, ir.Constant(_WIDE_INTS, [16] * OUTPUTS))
        _store(builder, builder.trunc(high, _SHORTS), out, arguments[3], 2)
        return context.get_dummy_value()

    return signature, generate


@_for_compiled_code
def mix_texels(
    context: Any,
    texels: types.Array,
    corners: types.UniTuple,
    weights: types.UniTuple,
    scale: types.Array,
    scale_start: types.Integer,
    mixed: types.Array,
    mixed_start: types.Integer,
) -> Any:
    """In compiled code: 8 channels between four texels, times their scale.

    Args:
        context: Numba's.
        texels: Contiguous int16.
        corners: (4,) where in it each texel's 8 channels begin.
        weights: (4,) float32.
        scale: Contiguous float32.
        scale_start: Where in it those of the 8 channels begin.
        mixed: Contiguous float32, filled.
        mixed_start: Where in it.
    """
    index = types.intp
    signature = types.void(
        texels, types.UniTuple(index, 4), types.UniTuple(types.float32, 4),
        scale, index, mixed, index,
    )  # fmt: skip

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, corners, weights, _, scale_start, _, mixed_start = arguments
        data, factors, out = (_data(context, builder, signature, arguments, n) for n in (0, 3, 5))
        shorts, floats = ir.VectorType(ir.IntType(16), TEXELS), ir.VectorType(_FLOAT, TEXELS)
        total = ir.Constant(floats, None)
        for n in range(4):
            texel = _load(builder, data, builder.extract_value(corners, n), shorts, 2)
            weight = _spread(builder, builder.extract_value(weights, n), TEXELS)
            share = builder.fmul(builder.sitofp(texel, floats), weight, flags=("fast",))
            total = builder.fadd(total, share, flags=("fast",))
        total = builder.fmul(total, _load(builder, factors, scale_start, floats, 4))
        _store(builder, total, out, mixed_start, 4)
        return context.get_dummy_value()

    return signature, generate


def _data(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any, n: int) -> Any:
    """A pointer to the numbers of an argument that is an array."""
    return context.make_array(signature.args[n])(context, builder, arguments[n]).data


def _load(builder: ir.IRBuilder, data: Any, place: Any, kind: ir.VectorType, align: int) -> Any:
    pointer = builder.bitcast(builder.gep(data, [place]), kind.as_pointer())
    return builder.load(pointer, align=align)


def _store(builder: ir.IRBuilder, value: Any, data: Any, place: Any, align: int) -> None:
    pointer = builder.bitcast(builder.gep(data, [place]), value.type.as_pointer())
    builder.store(value, pointer, align=align)


def _spread(builder: ir.IRBuilder, value: Any, lanes: int = _LANES) -> Any:
    """A vector of the same value everywhere."""
    nothing = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(nothing, value, _INT(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INT, lanes), None))


def _add_product(builder: ir.IRBuilder, total: Any, left: Any, right: Any) -> None:
    """Add 16 products of pairs to what `total` points to."""
    instruction = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(_FLOATS, [_FLOATS, _PAIRS, _PAIRS]),
        "llvm.x86.avx512bf16.dpbf16ps.512",
    )
    factors = [builder.bitcast(side, _PAIRS) for side in (left, right)]
    builder.store(builder.call(instruction, [builder.load(total), *factors]), total)
