"""The edges of a mesh with the triangles on both sides: the static input of silhouettes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]

TRIANGLES_PER_SIDE = 2
"""Triangles that may share an edge in one direction: one on a closed surface, two where it is
doubled (lashes, cards of hair)."""


class MeshEdges(NamedTuple):
    """All edges of a mesh but those with more than `TRIANGLES_PER_SIDE` triangles on a side."""

    ends: Integers
    """(E, 2) the two vertices of each edge."""
    along: Integers
    """(E, 2) triangles that contain the edge from its first vertex to its second; F, the number of
    triangles, where there are fewer than two."""
    against: Integers
    """(E, 2) triangles that contain it in the opposite direction; F where there are fewer."""


def find_mesh_edges(faces: Integers) -> MeshEdges:
    """Find the edges of a mesh and their triangles.

    Args:
        faces: (F, 3) vertices.
    """
    count = len(faces)
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ends, edge = np.unique(np.sort(directed, axis=1), axis=0, return_inverse=True)
    edge, triangle = edge.reshape(-1), np.repeat(np.arange(count, dtype=np.int32), 3)
    along = directed[:, 0] < directed[:, 1]
    usable = ends[:, 0] < ends[:, 1]
    sides = []
    for side in (along, ~along):
        table, fits = _triangles_of(edge[side], triangle[side], len(ends), count)
        sides.append(table)
        usable &= fits
    return MeshEdges(
        np.ascontiguousarray(ends[usable], np.int32), sides[0][usable], sides[1][usable]
    )


def _triangles_of(
    edge: NDArray[np.intp], triangle: Integers, edges: int, missing: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """Gather the triangles of each edge.

    Args:
        edge: (N,) edges.
        triangle: (N,) a triangle of each of them.
        edges: E.
        missing: Fills the places of edges with fewer triangles.

    Returns:
        (E, 2) triangles in ascending order, and (E,) whether they are all.
    """
    order = np.argsort(edge, kind="stable")
    edge, triangle = edge[order], triangle[order]
    place = np.arange(len(edge)) - np.searchsorted(edge, edge)
    table = np.full((edges, TRIANGLES_PER_SIDE), missing, np.int32)
    kept = place < TRIANGLES_PER_SIDE
    table[edge[kept], place[kept]] = triangle[kept]
    return table, np.bincount(edge, minlength=edges) <= TRIANGLES_PER_SIDE
