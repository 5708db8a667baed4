"""Vector instructions for numba kernels, where its compiler does not generate them by itself.

Each of these functions emits a loop body. They are called from compiled code with all arguments but
`context`. Those of the convolutions take the elements of a `NetworkArray`: bits of bfloat16, or
float32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from models.kernels import float_products
from models.kernels.llvm_vectors import (
    FLOAT,
    INDEX,
    INT,
    OUTPUTS,
    broadcast,
    data_of,
    for_compiled_code,
    load,
    store,
)

PIXELS = 8
"""Pixels per call of `add_products` of bfloat16. Times `OUTPUTS` that is 256 sums, which stay in 16
vector registers."""
TEXELS = 8
"""Channels per call of `mix_texels`: one vector of float32 in AVX2."""

_LANES = 16
"""float32 values in a 512-bit vector."""
_FLOATS = ir.VectorType(FLOAT, _LANES)
_INTS = ir.VectorType(INT, _LANES)
_SHORTS = ir.VectorType(ir.IntType(16), OUTPUTS)
_WIDE_INTS = ir.VectorType(INT, OUTPUTS)
_WIDE_FLOATS = ir.VectorType(FLOAT, OUTPUTS)


class _BFloat(ir.types._BaseFloatType):  # type: ignore[misc]  # llvmlite has no types
    """LLVM's bfloat16 type, which llvmlite lacks."""

    null = "0.0"
    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"


# Its types are singletons; llvmlite does the same for its own floating-point types.
_BFloat._create_instance()
_PAIRS = ir.VectorType(_BFloat(), 2 * _LANES)


@for_compiled_code
def add_products(
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
    """Add products to the 32 sums of some pixels.

    `sums[s + 32 p + o] += weights[w + k][o] . inputs[i + stride p + k]` for all p < `PIXELS`,
    o < 32 and k < `count`. Of bfloat16, a unit of inputs and weights is a pair, and . multiplies a
    pair by a pair and adds the two products (AVX512-BF16); of float32, it is a value, and p is less
    than `float_products.PIXELS`.

    Args:
        context: Numba's typing context; not an argument of callers.
        inputs: Contiguous bits of bfloat16, or float32.
        start: i, in units: the first pixel.
        stride: Distance from pixel to pixel, in units.
        weights: (K, 32) units, contiguous, of the type of `inputs`.
        weight_start: w, rows of `weights`.
        count: Number of units to sum over.
        sums: Contiguous float32.
        sums_start: s, index in `sums`.
    """
    index = types.intp
    signature = types.void(inputs, index, index, weights, index, index, sums, index)
    return signature, _add_pairs if _is_bfloat16(inputs) else float_products.add_floats


def _add_pairs(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
    """Generate `add_products` for bfloat16; arguments as numba passes them."""
    _, start, stride, _, weight_start, count, _, sums_start = arguments
    data = [data_of(context, builder, signature, arguments, n) for n in (0, 3, 6)]
    # As int32, because a pair of bfloat16 is loaded and broadcast as one value.
    values, matrix = (builder.bitcast(part, INT.as_pointer()) for part in data[:2])
    positions = [
        builder.add(sums_start, INDEX(_LANES * n)) for n in range(PIXELS * OUTPUTS // _LANES)
    ]
    # LLVM keeps these in registers for the whole loop.
    totals = [cgutils.alloca_once(builder, _FLOATS) for _ in positions]
    for position, total in zip(positions, totals, strict=True):
        builder.store(load(builder, data[2], position, _FLOATS, 4), total)
    pixels = [builder.add(start, builder.mul(stride, INDEX(p))) for p in range(PIXELS)]
    with cgutils.for_range(builder, count, intp=INDEX) as loop:
        row = builder.mul(builder.add(weight_start, loop.index), INDEX(OUTPUTS))
        halves = [
            load(builder, matrix, builder.add(row, INDEX(offset)), _INTS, 4)
            for offset in range(0, OUTPUTS, _LANES)
        ]
        for p, pixel in enumerate(pixels):
            # align=2: channels are 2 bytes, so a pair may start at any even address.
            pair = builder.load(builder.gep(values, [builder.add(pixel, loop.index)]), align=2)
            lanes = broadcast(builder, pair, _LANES)
            for h, half in enumerate(halves):
                total = totals[p * len(halves) + h]
                _add_product(builder, total, half, lanes)
    for position, total in zip(positions, totals, strict=True):
        store(builder, builder.load(total), data[2], position, 4)
    return context.get_dummy_value()


@for_compiled_code
def widen_and_add(
    context: Any,
    values: types.Array,
    values_start: types.Integer,
    added: types.Array,
    added_start: types.Integer,
    sums: types.Array,
    sums_start: types.Integer,
) -> Any:
    """Compute 32 sums of a value and a float32.

    Args:
        context: Numba's typing context; not an argument of callers.
        values: Contiguous bits of bfloat16, or float32.
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
        if _is_bfloat16(values):
            narrow = load(builder, data, arguments[1], _SHORTS, 2)
            # bfloat16 is the upper half of a float32.
            sixteen = ir.Constant(_WIDE_INTS, [16] * OUTPUTS)
            high = builder.shl(builder.zext(narrow, _WIDE_INTS), sixteen)
            value = builder.bitcast(high, _WIDE_FLOATS)
        else:
            value = load(builder, data, arguments[1], _WIDE_FLOATS, 4)
        value = builder.fadd(value, load(builder, terms, arguments[3], _WIDE_FLOATS, 4))
        store(builder, value, out, arguments[5], 4)
        return context.get_dummy_value()

    return signature, generate


@for_compiled_code
def rectify_and_narrow(
    context: Any,
    sums: types.Array,
    sums_start: types.Integer,
    values: types.Array,
    values_start: types.Integer,
) -> Any:
    """Compute the ReLU of 32 float32 values, rounded to the elements of an array.

    Args:
        context: Numba's typing context; not an argument of callers.
        sums: Contiguous float32.
        sums_start: Index of the first value.
        values: Contiguous bits of bfloat16, or float32, filled.
        values_start: Index of the first value.
    """
    signature = types.void(sums, types.intp, values, types.intp)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        data, out = (data_of(context, builder, signature, arguments, n) for n in (0, 2))
        value = load(builder, data, arguments[1], _WIDE_FLOATS, 4)
        zeros = ir.Constant(_WIDE_FLOATS, None)
        # Ordered comparison: NaN becomes 0 instead of spreading over the image.
        value = builder.select(builder.fcmp_ordered(">", value, zeros), value, zeros)
        if _is_bfloat16(values):
            # Round half away from zero, as `bfloat16.from_float` does.
            rounded = builder.add(
                builder.bitcast(value, _WIDE_INTS), ir.Constant(_WIDE_INTS, [0x8000] * OUTPUTS)
            )
            high = builder.lshr(rounded, ir.Constant(_WIDE_INTS, [16] * OUTPUTS))
            store(builder, builder.trunc(high, _SHORTS), out, arguments[3], 2)
        else:
            store(builder, value, out, arguments[3], 4)
        return context.get_dummy_value()

    return signature, generate


@for_compiled_code
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
    """Interpolate 8 channels between four texels, and scale them.

    Args:
        context: Numba's typing context; not an argument of callers.
        texels: Contiguous int16.
        corners: (4,) index of the first channel of each texel.
        weights: (4,) float32, bilinear weights of the texels.
        scale: Contiguous float32.
        scale_start: Index of the first of the 8 channels.
        mixed: Contiguous float32, filled.
        mixed_start: Index of the first value.
    """
    index = types.intp
    signature = types.void(
        texels, types.UniTuple(index, 4), types.UniTuple(types.float32, 4),
        scale, index, mixed, index,
    )  # fmt: skip

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _, corners, weights, _, scale_start, _, mixed_start = arguments
        data, factors, out = (data_of(context, builder, signature, arguments, n) for n in (0, 3, 5))
        shorts, floats = ir.VectorType(ir.IntType(16), TEXELS), ir.VectorType(FLOAT, TEXELS)
        total = ir.Constant(floats, None)
        for n in range(4):
            texel = load(builder, data, builder.extract_value(corners, n), shorts, 2)
            weight = broadcast(builder, builder.extract_value(weights, n), TEXELS)
            # "fast" lets LLVM fuse the multiplication with the addition.
            share = builder.fmul(builder.sitofp(texel, floats), weight, flags=("fast",))
            total = builder.fadd(total, share, flags=("fast",))
        total = builder.fmul(total, load(builder, factors, scale_start, floats, 4))
        store(builder, total, out, mixed_start, 4)
        return context.get_dummy_value()

    return signature, generate


def _add_product(builder: ir.IRBuilder, total: Any, left: Any, right: Any) -> None:
    """Add the products of 16 pairs to the vector that `total` points to."""
    instruction = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(_FLOATS, [_FLOATS, _PAIRS, _PAIRS]),
        "llvm.x86.avx512bf16.dpbf16ps.512",
    )
    factors = [builder.bitcast(side, _PAIRS) for side in (left, right)]
    builder.store(builder.call(instruction, [builder.load(total), *factors]), total)


def _is_bfloat16(array: types.Array) -> bool:
    """Return whether a `NetworkArray` holds bits of bfloat16."""
    return bool(array.dtype == types.uint16)
