"""Where silhouettes cross between pixels: anti-aliasing by the exact edges of the mesh.

A silhouette is an edge of the mesh with a triangle that faces the camera on one side only. Where it
passes between the centres of two neighbouring pixels, in front of what the outer pixel sees, one of
both pixels is partly covered by what the other one sees, and the position of the edge gives the
share (E. Persson, "Geometric Post-process Anti-Aliasing", 2011). Outlines and inner edges (chin
before neck) are the same case, and only pixels at silhouettes cost time.

A *blend* is the result for a pixel: which neighbour it mixes with, and how much. It is 0 for pixels
that show one surface only, else `share << 2 | direction`, with the share in 1/`SHARE_UNIT` and the
direction an index of `DIRECTIONS`.

This is the plain form, which defines the results; `silhouettes_numba.py` is the fast one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.geometry.mesh_edges import MeshEdges
from models.geometry.rasterizer import CENTRE, SUBPIXEL_BITS, SUBPIXELS, Fragments

DIRECTIONS = ((0, -1), (0, 1), (-1, 0), (1, 0))
"""Rows and columns from a pixel to the neighbour that it mixes with."""
SHARE_UNIT = 128
"""Shares are integers in units of 1/128."""
MOST_SHARE = 63
"""Shares are below one half, so six bits hold them."""
COVER_MAX = 15
"""Cover of a pixel that the head fills: a sum of nine pixels, weighted 16 together, fits 8 bits."""
NEARER = 1.004
"""How many times nearer than the surface behind it a silhouette must be: 3 mm at 80 cm. Seams of
the mesh, and edges that touch the skin, are below."""
FURTHEST = 126
"""Largest distance of a crossing from the inner pixel, 1/`SHARE_UNIT`: 8 bits hold it with its
side."""


class EdgeBlends(NamedTuple):
    """How pixels mix at silhouettes."""

    blend: NDArray[np.uint8]
    """(H, W) blends."""
    cover: NDArray[np.uint8]
    """(H, W) share of each pixel that the head covers, 0..`COVER_MAX`."""


class _Crossing(NamedTuple):
    """A silhouette between the centres of two neighbouring pixels."""

    inner: tuple[int, int]
    """Row and column of the pixel on the head's side."""
    outer: tuple[int, int]
    """Row and column of the other one."""
    distance: int
    """Distance from the centre of the inner pixel, in units of 1/`SHARE_UNIT`."""
    nearness: float
    """1/depth of the silhouette there, 1/metres."""


def blend_edges(
    edges: MeshEdges,
    faces: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    fragments: Fragments,
) -> EdgeBlends:
    """Find how the pixels of a rasterized image mix at silhouettes.

    Args:
        edges: Edges of the mesh and their triangles.
        faces: (F, 3) vertices of each triangle.
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth; 0 for culled vertices.
        fragments: The image, of these triangles.
    """
    triangle, nearness = fragments
    outermost: dict[tuple[tuple[int, int], tuple[int, int]], tuple[int, bool]] = {}
    for a, b in _silhouettes(edges, faces, xy, inverse_depth):
        for c in _crossings(a, b, xy, inverse_depth, triangle.shape):
            if not all(_is_inside(pixel, triangle.shape) for pixel in (c.inner, c.outer)):
                continue
            if triangle[c.inner] < 0 or c.nearness <= float(nearness[c.outer]) * NEARER:
                continue
            # Of several edges the outermost: layers of hair and skin lie closely behind each other.
            pair = (min(c[:2]), max(c[:2]))
            found = (min(c.distance, FURTHEST), c.inner > c.outer)
            outermost[pair] = max(outermost.get(pair, found), found)
    blend = np.zeros(triangle.shape, np.uint8)
    for (first, second), (distance, inner_second) in outermost.items():
        # Beyond the middle between both centres, the head reaches into the outer pixel.
        mixes_second = inner_second == (distance < SHARE_UNIT // 2)
        share = min(abs(distance - SHARE_UNIT // 2), MOST_SHARE)
        code = share << 2 | (first[1] == second[1]) << 1 | (not mixes_second)
        pixel = second if mixes_second else first
        # A pixel between several edges takes the one that changes it most.
        blend[pixel] = max(blend[pixel], code if share else 0)
    return EdgeBlends(blend, _cover(triangle >= 0, blend))


def _is_inside(pixel: tuple[int, int], shape: tuple[int, ...]) -> bool:
    """Return whether a pixel (row, column) lies in an image (H, W)."""
    return 0 <= pixel[0] < shape[0] and 0 <= pixel[1] < shape[1]


def _silhouettes(
    edges: MeshEdges,
    faces: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
) -> Iterator[tuple[int, int]]:
    """Yield the ends of silhouettes, such that the head lies to the right of a downward one."""
    a, b, c = np.moveaxis(xy[faces], 1, 0)
    area = (c - a)[:, 0] * (b - a)[:, 1] - (c - a)[:, 1] * (b - a)[:, 0]
    drawn = (area > 0) & (inverse_depth[faces] > 0).all(axis=1)
    front = np.append(drawn, False).astype(int)
    facing = front[edges.along].sum(axis=1) - front[edges.against].sum(axis=1)
    for e in np.flatnonzero(facing):
        a, b = edges.ends[e] if facing[e] > 0 else edges.ends[e, ::-1]
        yield int(a), int(b)


def _crossings(
    a: int,
    b: int,
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    shape: tuple[int, ...],
) -> Iterator[_Crossing]:
    """Yield where an edge crosses between pixels.

    A steep one does in each row, any other in each column, so that pixels have one crossing each.
    """
    dx, dy = (int(d) for d in xy[b] - xy[a])
    flat = abs(dx) > abs(dy)
    # Along the major axis the edge is walked, along the minor one crossings are measured.
    major, minor = (0, 1) if flat else (1, 0)
    # The head lies to the right of a downward edge, and above a rightward one.
    inner_first = dx > 0 if flat else dy < 0
    if xy[a, major] > xy[b, major]:
        a, b = b, a
    begin, end = int(xy[a, major]), int(xy[b, major])
    across = int(xy[b, minor] - xy[a, minor])
    # Centres of pixels from the edge's begin to before its end, so that one on a vertex belongs to
    # one of the two edges that meet there.
    first, stop = ((at + CENTRE - 1) >> SUBPIXEL_BITS for at in (begin, end))
    for step in range(max(first, 0), min(stop, shape[1 - major])):
        gone = step * SUBPIXELS + CENTRE - begin
        # Of absolute values: `//` rounds down here, but towards 0 in Triton.
        shift = gone * abs(across) // (end - begin)
        at = int(xy[a, minor]) + (shift if across > 0 else -shift) - CENTRE
        before, part = at >> SUBPIXEL_BITS, at % SUBPIXELS
        pixels = [(p, step) if flat else (step, p) for p in (before, before + 1)]
        distance = part if inner_first else SUBPIXELS - part
        yield _Crossing(
            pixels[not inner_first],
            pixels[inner_first],
            distance * SHARE_UNIT // SUBPIXELS,
            inverse_depth[a] + (inverse_depth[b] - inverse_depth[a]) * (gone / (end - begin)),
        )


def _cover(on: NDArray[np.bool_], blend: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the cover of pixels, from whether their centres are on the head."""
    cover = np.where(on, COVER_MAX, 0).astype(np.uint8)
    for y, x in np.argwhere(blend):
        dy, dx = DIRECTIONS[blend[y, x] & 3]
        share = int(blend[y, x]) >> 2
        covered = (SHARE_UNIT - share) * int(on[y, x]) + share * int(on[y + dy, x + dx])
        cover[y, x] = (COVER_MAX * covered + SHARE_UNIT // 2) // SHARE_UNIT
    return cover
