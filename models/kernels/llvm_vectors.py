"""What the vector instructions of `vectors.py` and `float_products.py` have in common.

Numba has no vector types, so they emit LLVM's instructions. None checks bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

OUTPUTS = 32
"""Outputs per pixel of `add_products`."""

INT = ir.IntType(32)
INDEX = ir.IntType(64)
FLOAT = ir.FloatType()


def for_compiled_code(generate: Any) -> Any:
    """Decorate as `intrinsic`, whose own type annotations do not fit the callers' arguments."""
    return intrinsic(generate)


def data_of(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any, n: int) -> Any:
    """Return a pointer to the data of argument `n`, an array."""
    return context.make_array(signature.args[n])(context, builder, arguments[n]).data


def load(builder: ir.IRBuilder, data: Any, position: Any, kind: ir.VectorType, align: int) -> Any:
    """Load a vector; `align` is that of one element in bytes, the only one arrays guarantee."""
    pointer = builder.bitcast(builder.gep(data, [position]), kind.as_pointer())
    return builder.load(pointer, align=align)


def store(builder: ir.IRBuilder, value: Any, data: Any, position: Any, align: int) -> None:
    """Store a vector; `align` as for `load`."""
    pointer = builder.bitcast(builder.gep(data, [position]), value.type.as_pointer())
    builder.store(value, pointer, align=align)


def broadcast(builder: ir.IRBuilder, value: Any, lanes: int) -> Any:
    """Return a vector with the same value in all lanes."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, INT(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT, lanes), None))
