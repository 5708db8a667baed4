"""A mesh as a file describes it, and operations on any: fits, normals, smoothing, subdivision."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_MIN_LENGTH = 1e-12  # of normals that are normalised: none must divide by 0


@dataclass
class Mesh:
    """Triangles of one file."""

    verts: Floats  # (V, 3)
    faces: Ints  # (F, 3)
    uvs: Floats | None  # (T, 2), v downwards
    uv_faces: Ints | None  # (F, 3)
    part_names: list[str]
    """Names of the parts in the file."""
    parts: Ints  # (F,) index into part_names
    deltas: dict[str, FloatArray] = field(default_factory=dict)  # (V, 3) by name
    image: NDArray[np.uint8] | None = None
    """(h, w, 4) sRGB base colour and whether there is one (0 or 255), laid out by `uvs`."""
    notes: list[str] = field(default_factory=list)
    """One line for each change."""


def fit_sphere(points: Floats) -> tuple[Floats, float]:
    """Return the least-squares centre (3,) and radius of points (n, 3).

    The equations are linear in the centre and in radius^2 - |centre|^2.
    """
    system = np.c_[2 * points, np.ones(len(points))]
    solution = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def triangulate(quads: Ints) -> Ints:
    """Split quads (Q, 4) into triangles (2Q, 3)."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def smooth_normals(verts: Floats, faces: Ints) -> Floats:
    """Return area-weighted unit normals (n, 3).

    trimesh's differ by its weights (by angle), and without scipy take 100 times as long.
    """
    a, b, c = (verts[faces[:, i]] for i in range(3))
    face_normals = np.cross(b - a, c - a)
    normals = np.zeros_like(verts)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: Floats = normals / np.maximum(length, _MIN_LENGTH)
    return unit


def relax(values: Floats, faces: Ints, rounds: int, amount: Floats) -> Floats:
    """Move `values` (n, k) towards the mean of their neighbours by `amount` (n,) per round."""
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])), axis=0)
    count = np.bincount(edges.ravel(), minlength=len(values))[:, None].clip(1)
    for _ in range(rounds):
        total = np.zeros_like(values)
        np.add.at(total, edges[:, 0], values[edges[:, 1]])
        np.add.at(total, edges[:, 1], values[edges[:, 0]])
        values = values + amount[:, None] * (total / count - values)
    return values


def compact(quads: Ints) -> tuple[Ints, Ints]:
    """Return the vertices that `quads` use, and the quads in indices of those."""
    used, flat = np.unique(quads, return_inverse=True)
    return used, flat.reshape(quads.shape)


def uv_islands(uv_quads: Ints, count: int) -> Ints:
    """Return (Q,) the label of the UV island that each quad belongs to."""
    # Labels spread to the lowest of each island; following labels of labels halves the distance
    # that is left in each round.
    parent = np.arange(count)
    while True:
        lower = parent.copy()
        np.minimum.at(lower, uv_quads.ravel(), np.repeat(parent[uv_quads].min(1), 4))
        lower = lower[lower]
        if (lower == parent).all():
            return parent[uv_quads[:, 0]]
        parent = lower


def fan_and_rings(rings: int, segments: int) -> Ints:
    """Return triangles of a centre vertex 0 and `rings` rings of `segments` vertices."""
    faces = [[0, 1 + i, 1 + (i + 1) % segments] for i in range(segments)]
    for ring in range(rings - 1):
        low, high = 1 + ring * segments, 1 + (ring + 1) * segments
        for i in range(segments):
            j = (i + 1) % segments
            faces += [[low + i, high + i, high + j], [low + i, high + j, low + j]]
    return np.array(faces)


def strip_rows(verts: Floats, quads: Ints, centre: Floats) -> Ints:
    """Order a strip of quads into columns from root to tip.

    Args:
        verts: (V, 3) vertices.
        quads: (Q, 4) of one rectangular strip.
        centre: (3,) the side of the strip that is nearer to it is the root.

    Returns:
        (columns, rows) vertex indices.
    """
    corner_count = Counter(quads.ravel().tolist())
    neighbours: dict[int, set[int]] = {v: set() for v in corner_count}
    sides: Counter[tuple[int, int]] = Counter()
    for quad in quads.tolist():
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            neighbours[a].add(b)
            neighbours[b].add(a)
            sides[min(a, b), max(a, b)] += 1
    border = {edge for edge, count in sides.items() if count == 1}
    # The four corners of a rectangular strip belong to a single quad each.
    corners = [v for v, count in corner_count.items() if count == 1]
    chains = []
    for start in corners:
        for first in (n for n in neighbours[start] if (min(n, start), max(n, start)) in border):
            chain = [start, first]
            while chain[-1] not in corners:
                chain.append(
                    next(
                        n
                        for n in neighbours[chain[-1]]
                        if n not in chain and (min(n, chain[-1]), max(n, chain[-1])) in border
                    )
                )
            chains.append(chain)
    # Root and tip are the longer sides of the strip; the root is the one nearer to `centre`.
    longest = max(len(chain) for chain in chains)
    full = [chain for chain in chains if len(chain) == longest]
    root = min(full, key=lambda chain: float(np.linalg.norm(verts[chain] - centre, axis=1).mean()))
    if verts[root[0], 0] > verts[root[-1], 0]:
        root = root[::-1]
    rows, seen = [root], set(root)
    while True:
        following = [[n for n in neighbours[v] if n not in seen] for v in rows[-1]]
        if not all(following):
            return np.array(rows).T
        rows.append([options[0] for options in following])
        seen |= set(rows[-1])
