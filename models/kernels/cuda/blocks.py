"""How much of a frame each program of a kernel works on."""

from __future__ import annotations

from typing import NamedTuple


class Blocks(NamedTuple):
    """Sizes of the kernels' blocks, powers of two."""

    vertices: int
    """Vertices of a program of `begin_frame` and `vertex_normals`."""
    clear: int
    """Pixels that a program of `begin_frame` clears."""
    triangles: int
    """Triangles of a program of `rasterize`."""
    fragments: int
    """Pixels of each of them that are tested at once."""
    parts: int
    """Programs that share the pixels of the same triangles, so that large ones take no longer."""
    edges: int
    """Edges of a program of `cross_edges`."""
    half: int
    """Pixels at half resolution of a program of `resolve`."""
    columns: int
    """Columns of `extend` that are compared at once."""
    tile_rows: int
    """Rows of a tile of `convolve`."""
    tile_columns: int
    """Columns of a tile; at least 16 pixels together, the least that tensor cores take."""
    hidden: int
    """Hidden channels that `convolve` computes at once, at least 16."""
    pixels: int
    """Pixels of a program of `blend_edges` and `compose`."""
    chroma: int
    """2x2 pixels of a program of `compose_nv12`."""


GPU_BLOCKS = Blocks(
    vertices=128,
    clear=1024,
    # 256 tests at once: twice as many spill registers on every architecture.
    triangles=32,
    fragments=8,
    parts=4,
    edges=128,
    half=64,
    columns=16,
    tile_rows=4,
    tile_columns=16,
    hidden=32,
    pixels=128,
    chroma=128,
)
"""Block sizes for GPUs: small enough for registers
(`tests/models/kernels/cuda/test_machine_code.py`)."""

INTERPRETER_BLOCKS = Blocks(
    vertices=8192,
    clear=1 << 17,
    triangles=2048,
    fragments=64,
    parts=1,
    edges=1 << 15,
    half=8192,
    columns=256,
    tile_rows=32,
    tile_columns=64,
    hidden=32,  # as on GPUs, so that networks larger than the shipped ones take several parts
    pixels=1 << 15,
    chroma=1 << 15,
)
"""Block sizes for Triton's interpreter, whose time depends on the number of operations and not on
their width."""
