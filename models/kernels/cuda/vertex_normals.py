"""Smooth normals of the posed vertices. Reference: `geometry.head.vertex_normals`.

Each vertex gathers its faces. Adding each face to its vertices would need atomic additions of
floats, whose order and so whose rounding change from run to run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton
import triton.language as tl
from numpy.typing import NDArray


def adjacent_faces(faces: NDArray[np.int32], vertices: int) -> NDArray[np.int32]:
    """List the faces around each vertex.

    Args:
        faces: (F, 3) int32 vertices of each triangle.
        vertices: V.

    Returns:
        (N, V) indices of faces, ascending, then -1; N is the most faces around a vertex.
    """
    corners = faces.reshape(-1)
    # Stable, so that the faces of a vertex ascend, in the order in which the reference adds them.
    order = np.argsort(corners, kind="stable")
    counts = np.bincount(corners, minlength=vertices)
    place = np.arange(len(corners)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((counts.max(initial=1), vertices), -1, np.int32)
    table[place, corners[order]] = order // 3
    return table


@triton.jit
def vertex_normals(
    program: tl.tensor,
    frame: tl.tensor,
    world: tl.tensor,
    faces: tl.tensor,
    adjacent: tl.tensor,
    most: tl.tensor,
    vertices: tl.tensor,
    normals: tl.tensor,
    block: tl.constexpr,
) -> None:
    """Compute unit normals, weighted by the areas of the faces.

    A part of the launch of `draw`.

    Args:
        program: Which vertices: the first is this times `block`.
        frame: Which frame.
        world: (B, V, 3) float32 vertices of `begin_frame`, metres.
        faces: (F, 3) int32 vertices of each triangle.
        adjacent: (N, V) int32 triangles at each vertex, of `adjacent_faces`.
        most: N.
        vertices: V.
        normals: (B, V, 3) filled: unit normals, world axes; zero for vertices without a face.
        block: Vertices of a program.
    """
    v = program * block + tl.arange(0, block)
    real = v < vertices
    world += frame * vertices * 3
    x = tl.zeros([block], tl.float32)
    y = tl.zeros([block], tl.float32)
    z = tl.zeros([block], tl.float32)
    for n in range(most):
        face = tl.load(adjacent + n * vertices + v, mask=real, other=-1)
        on = face >= 0
        ax, ay, az = _corner(world, faces + face * 3, on)
        bx, by, bz = _corner(world, faces + face * 3 + 1, on)
        cx, cy, cz = _corner(world, faces + face * 3 + 2, on)
        ux, uy, uz = bx - ax, by - ay, bz - az
        wx, wy, wz = cx - ax, cy - ay, cz - az
        x += uy * wz - uz * wy
        y += uz * wx - ux * wz
        z += ux * wy - uy * wx
    # Rounded to nearest, as numpy does; the plain operators are approximate on GPUs.
    length = tl.sqrt_rn(x * x + y * y + z * z)
    length = tl.where(length > 0, length, 1.0)
    out = normals + (frame * vertices + v) * 3
    tl.store(out, tl.div_rn(x, length), mask=real)
    tl.store(out + 1, tl.div_rn(y, length), mask=real)
    tl.store(out + 2, tl.div_rn(z, length), mask=real)


@triton.jit
def _corner(world: tl.tensor, corner: tl.tensor, on: tl.tensor) -> Any:
    """Return the position of a face's corner; zeros where `on` is not set."""
    at = world + tl.load(corner, mask=on, other=0) * 3
    x = tl.load(at, mask=on, other=0.0)
    y = tl.load(at + 1, mask=on, other=0.0)
    z = tl.load(at + 2, mask=on, other=0.0)
    return x, y, z
