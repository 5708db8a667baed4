"""Holes in a mesh: where its edges run around, and how to close them without new vertices."""

from __future__ import annotations

import numpy as np

from models.heads.meshes import Floats, Ints


def weld(verts: Floats, tolerance_m: float = 1e-5) -> Ints:
    """(V,) a number for every place; vertices that texture seams have doubled share one."""
    _, place = np.unique(
        np.round(verts / tolerance_m).astype(np.int64), axis=0, return_inverse=True
    )
    return np.asarray(place).reshape(-1)


def find_loops(verts: Floats, faces: Ints) -> list[Ints]:
    """Vertices around each open edge, in order, as the missing surface would have them."""
    place = weld(verts)
    vertex = np.zeros(place.max() + 1, np.int64)
    vertex[place] = np.arange(len(verts))
    edges = np.concatenate(
        [place[faces[:, [0, 1]]], place[faces[:, [1, 2]]], place[faces[:, [2, 0]]]]
    )
    count = place.max() + 1
    keys = edges[:, 0] * count + edges[:, 1]
    single = ~np.isin(keys, edges[:, 1] * count + edges[:, 0]) & (edges[:, 0] != edges[:, 1])
    following = {int(b): int(a) for a, b in edges[single]}
    loops = []
    while following:
        start, at = following.popitem()
        loop = [start]
        while at != start and at in following:
            loop.append(at)
            at = following.pop(at)
        if at == start and len(loop) >= 3:
            loops.append(vertex[np.array(loop)])
    return loops


def perimeter(verts: Floats, loop: Ints) -> float:
    """Metres around."""
    points = verts[loop]
    return float(np.linalg.norm(points - np.roll(points, -1, axis=0), axis=1).sum())


def patch(verts: Floats, loop: Ints) -> Ints:
    """Triangles (n - 2, 3) that close a hole from side to side, as lips and lids do."""
    first = int(np.argmin(verts[loop, 0]))
    ring = np.roll(loop, -first)
    ahead, behind = 1, len(ring) - 1
    triangles = [[ring[0], ring[ahead], ring[behind]]]
    while behind - ahead > 1:
        if len(triangles) % 2:
            triangles.append([ring[ahead], ring[ahead + 1], ring[behind]])
            ahead += 1
        else:
            triangles.append([ring[ahead], ring[behind - 1], ring[behind]])
            behind -= 1
    return np.array(triangles)
