"""Triangles and vertex normals in one launch: both need `begin_frame`, and neither the other."""

from __future__ import annotations

import triton
import triton.language as tl

from models.kernels.cuda.rasterize import rasterize
from models.kernels.cuda.vertex_normals import vertex_normals


@triton.jit
def draw(
    xy: tl.tensor,
    inverse: tl.tensor,
    faces: tl.tensor,
    keys: tl.tensor,
    triangles: tl.tensor,
    vertices: tl.tensor,
    size: tl.tensor,
    world: tl.tensor,
    adjacent: tl.tensor,
    most: tl.tensor,
    normals: tl.tensor,
    block: tl.constexpr,
    fragments: tl.constexpr,
    parts: tl.constexpr,
    vertex_block: tl.constexpr,
) -> None:
    """Run `rasterize` in the first programs, and `vertex_normals` in the others.

    Triangles come first: they take longer.

    Grid: (triangles / block + vertices / vertex_block / parts, parts, B), each quotient rounded up.

    Args:
        xy: Of `rasterize`, like the next six.
        inverse: Of the same.
        faces: Of the same.
        keys: Of the same.
        triangles: Of the same.
        vertices: Of the same.
        size: Of the same.
        world: Of `vertex_normals`, like the next three.
        adjacent: Of the same.
        most: Of the same.
        normals: Of the same.
        block: Of `rasterize`, like the next two.
        fragments: Of the same.
        parts: Of the same.
        vertex_block: `block` of `vertex_normals`.
    """
    drawing = tl.cdiv(triangles, block)
    if tl.program_id(0) < drawing:
        rasterize(xy, inverse, faces, keys, triangles, vertices, size, block, fragments, parts)
    else:
        vertex_normals(
            (tl.program_id(0) - drawing) * parts + tl.program_id(1), tl.program_id(2),
            world, faces, adjacent, most, vertices, normals, vertex_block,
        )  # fmt: skip
