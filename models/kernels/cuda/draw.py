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
        xy: (B, V, 2) int32 screen positions of `begin_frame`, 1/256 pixels.
        inverse: (B, V) float64 inverse depths of `begin_frame`, 1/metres; 0 for culled vertices.
        faces: (F, 3) int32 vertices of each triangle.
        keys: (B, H, W) int64 keys of `begin_frame`, lowered to those of visible triangles.
        triangles: F.
        vertices: V.
        size: H and W: rows and columns of the image.
        world: (B, V, 3) float32 vertices of `begin_frame`, metres.
        adjacent: (N, V) int32 triangles at each vertex, of `adjacent_faces`.
        most: N: the greatest number of triangles at a vertex.
        normals: (B, V, 3) float32 filled: unit normals, world axes; zero for vertices without a
            face.
        block: Triangles of a program of `rasterize`.
        fragments: Pixels of each triangle that are tested at once.
        parts: Programs that share the pixels of a block of triangles.
        vertex_block: Vertices of a program of `vertex_normals`.
    """
    drawing = tl.cdiv(triangles, block)
    if tl.program_id(0) < drawing:
        rasterize(xy, inverse, faces, keys, triangles, vertices, size, block, fragments, parts)
    else:
        vertex_normals(
            (tl.program_id(0) - drawing) * parts + tl.program_id(1), tl.program_id(2),
            world, faces, adjacent, most, vertices, normals, vertex_block,
        )  # fmt: skip
