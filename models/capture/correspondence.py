"""Finds the points of MediaPipe's landmarks on the skin of the base person.

Runs once, in `scripts/make_shape_space.py`. The rims of lids and mouth are boundary loops of the
mesh, along which landmarks are spaced as in MediaPipe's canonical face; nose, lips and chin are
found by their extremes. The canonical face is then bent through these anchors (a thin-plate
spline) and drawn onto the skin in rounds of closest points.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from models.capture.landmarks import FACE_POINTS, INNER_LIPS, LID_CHAINS
from models.heads.meshes import Floats, Ints

_MIDDLE_M = 0.006
"""Vertices this near to the middle plane lie in the middle of the face."""
_ROUNDS = (3e-2, 1e-2, 3e-3, 1e-3)
"""Smoothing of the spline in each round of closest points."""
_NEAREST = 40
"""Triangles around a point among which the closest one is sought."""
_AWAY = -0.2
"""Triangles whose normal has a smaller z look backwards: no landmark lies on them."""
_LID_LOOP, _LIP_LOOP = 28, 38
"""Vertices of the boundary loops of an eye and of the mouth in MakeHuman's base mesh."""


class SurfacePoints(NamedTuple):
    """Points on a mesh."""

    corners: Ints
    """(n, 3) vertices of the triangle that each lies on."""
    weights: Floats
    """(n, 3) their barycentric weights."""

    def on(self, verts: Floats) -> Floats:
        """Return (n, 3) the points on a mesh of the same topology."""
        points: Floats = (self.weights[..., None] * verts[self.corners]).sum(axis=1)
        return points


class CanonicalFace(NamedTuple):
    """MediaPipe's canonical face."""

    points: Floats
    """(468, 3) in its own units, +Y up, facing +Z."""
    faces: Ints
    """(F, 3) vertices of each triangle."""


def read_canonical(path: Path) -> CanonicalFace:
    """Read MediaPipe's `canonical_face_model.obj`.

    Raises:
        ValueError: If it has another number of points.
    """
    lines = [line.split() for line in path.read_text().splitlines()]
    points = np.array([[float(x) for x in line[1:4]] for line in lines if line[:1] == ["v"]])
    faces = [[int(c.split("/")[0]) - 1 for c in line[1:4]] for line in lines if line[:1] == ["f"]]
    if len(points) != FACE_POINTS:
        raise ValueError(f"{path}: expected {FACE_POINTS} points, got {len(points)}")
    return CanonicalFace(points, np.array(faces))


def find_landmarks(
    canonical: CanonicalFace, verts: Floats, skin: Ints, lips: NDArray[np.bool_]
) -> SurfacePoints:
    """Find the landmarks on a face.

    Args:
        canonical: MediaPipe's face.
        verts: (V, 3) metres, +Y up, facing +Z, the origin between the eyes.
        skin: (F, 3) triangles of the face with holes at eyes and mouth.
        lips: (V,) whether a vertex of the skin is lip.
    """
    rims = _rim_anchors(canonical.points, verts, skin)
    fixed = {mark: np.dot(weights, verts[corners]) for mark, (corners, weights) in rims.items()}
    fixed |= _middle_anchors(verts, np.unique(skin), lips)
    marks = np.array(sorted(fixed))
    targets = np.array([fixed[mark] for mark in marks])
    scale, rotation, shift = similarity(canonical.points[marks], targets)
    points = scale * canonical.points @ rotation.T + shift
    points = points + _bend(points[marks], targets, 1e-4)(points)
    # Less smoothing from round to round: first the spacing of the canonical face is kept, at the
    # end the points lie on the skin.
    for smoothing in _ROUNDS:
        found = closest_points(points, verts, skin).on(verts)
        found[marks] = targets
        points = points + _bend(points, found, smoothing)(points)
    result = closest_points(points, verts, skin)
    for mark, (corners, weights) in rims.items():
        # The closest points of rim landmarks may lie in any triangle beside the rim; these are on
        # it.
        result.corners[mark], result.weights[mark] = corners, weights
    return result


def similarity(source: Floats, target: Floats) -> tuple[float, Floats, Floats]:
    """Return scale, rotation (3, 3) and shift (3,) that best map points (n, 3) to others."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, sizes, vt = np.linalg.svd(a.T @ b)
    sign = np.sign(np.linalg.det(u @ vt))  # a mirrored solution is no rotation
    flip = np.array([1, 1, sign])
    rotation = (u * flip @ vt).T
    scale = float((sizes * flip).sum() / (a**2).sum())
    return scale, rotation, target.mean(0) - scale * rotation @ source.mean(0)


def boundary_loops(faces: Ints) -> list[list[int]]:
    """Return the loops of edges that belong to one triangle only, as chains of vertices."""
    count: Counter[tuple[int, int]] = Counter()
    for triangle in faces.tolist():
        for a, b in zip(triangle, triangle[1:] + triangle[:1], strict=True):
            count[min(a, b), max(a, b)] += 1
    beside: dict[int, list[int]] = {}
    for (a, b), used in count.items():
        if used == 1:
            beside.setdefault(a, []).append(b)
            beside.setdefault(b, []).append(a)
    loops, seen = [], set[int]()
    for start in beside:
        if start in seen:
            continue
        loop, at = [start], start
        seen.add(start)
        while following := [n for n in beside[at] if n not in seen]:
            at = following[0]
            seen.add(at)
            loop.append(at)
        loops.append(loop)
    return loops


def _rim_anchors(
    canonical: Floats, verts: Floats, skin: Ints
) -> dict[int, tuple[list[int], list[float]]]:
    """Return the landmarks on the rims of lids and mouth, as corners and weights."""
    loops = boundary_loops(skin)
    lids = [loop for loop in loops if len(loop) == _LID_LOOP]
    right, left = sorted(lids, key=lambda loop: float(verts[loop, 0].mean()))
    (mouth,) = [loop for loop in loops if len(loop) == _LIP_LOOP]
    anchors: dict[int, tuple[list[int], list[float]]] = {}
    for loop, chains in (
        (right, LID_CHAINS["right"]),
        (left, LID_CHAINS["left"]),
        (mouth, INNER_LIPS),
    ):
        for rim, marks in zip(_upper_and_lower(verts, loop), chains, strict=True):
            at, wanted = _arc(verts[rim]), _arc(canonical[list(marks)])
            for mark, t in zip(marks, wanted, strict=True):
                k = int(np.clip(np.searchsorted(at, t, side="right") - 1, 0, len(rim) - 2))
                share = float((t - at[k]) / (at[k + 1] - at[k]))
                anchors[mark] = ([rim[k], rim[k + 1], rim[k + 1]], [1 - share, share, 0.0])
    return anchors


def _upper_and_lower(verts: Floats, loop: list[int]) -> tuple[list[int], list[int]]:
    """Split a loop at its ends in x into its upper and lower chain, from low x to high."""
    start = int(np.argmin(verts[loop, 0]))
    loop = loop[start:] + loop[:start]
    end = int(np.argmax(verts[loop, 0]))
    one, other = loop[: end + 1], [loop[0], *loop[end:][::-1]]
    return (one, other) if verts[one, 1].mean() > verts[other, 1].mean() else (other, one)


def _arc(points: Floats) -> Floats:
    """Return (n,) the distance along a chain of points, from 0 to 1."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    shares: Floats = along / along[-1]
    return shares


def _middle_anchors(verts: Floats, skin: Ints, lips: NDArray[np.bool_]) -> dict[int, Floats]:
    """Return the landmarks 1 (tip of the nose), 0 and 17 (outer lips) and 152 (chin)."""
    points = verts[skin]
    middle = points[np.abs(points[:, 0]) < _MIDDLE_M]
    nose = middle[(middle[:, 1] < -0.01) & (middle[:, 1] > -0.06)]
    lip = points[lips[skin] & (np.abs(points[:, 0]) < _MIDDLE_M * 2 / 3)]
    low = lip[lip[:, 1].argmin()]
    under = middle[(middle[:, 1] < low[1] - 0.012) & (middle[:, 2] > -0.03)]
    on_plane = np.array([0.0, 1, 1])
    return {
        1: nose[nose[:, 2].argmax()] * on_plane,
        0: lip[lip[:, 1].argmax()] * on_plane,
        17: low * on_plane,
        # Where the chin's outline from the side slopes by 45 degrees.
        152: under[(under[:, 2] - under[:, 1]).argmax()] * on_plane,
    }


def _bend(points: Floats, targets: Floats, smoothing: float) -> RBFInterpolator:
    """Return a field that moves `points` (n, 3) near to `targets` (n, 3)."""
    return RBFInterpolator(
        points, targets - points, kernel="thin_plate_spline", smoothing=smoothing
    )


def closest_points(points: Floats, verts: Floats, faces: Ints) -> SurfacePoints:
    """Return the closest points of a surface to `points` (n, 3)."""
    corners = verts[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    faces, corners = faces[normals[:, 2] > _AWAY], corners[normals[:, 2] > _AWAY]
    _, near = cKDTree(corners.mean(axis=1)).query(points, _NEAREST)
    weights = closest_weights(points[:, None], corners[near])
    found = (weights[..., None] * corners[near]).sum(axis=2)
    best = ((found - points[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(points))
    return SurfacePoints(faces[near[rows, best]], weights[rows, best])


def closest_weights(points: Floats, triangles: Floats) -> Floats:
    """Return (..., 3) the barycentric weights of triangles' (..., 3, 3) closest points to points.

    The closest point is the projection onto the plane where that lies inside, else the closest of
    the three points on the sides.
    """
    options = [_plane_weights(points, triangles)]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, side = triangles[..., i, :], triangles[..., j, :] - triangles[..., i, :]
        length = (side**2).sum(axis=-1) + 1e-18
        share = np.clip(((points - start) * side).sum(axis=-1) / length, 0, 1)
        option = np.zeros((*share.shape, 3))
        option[..., i], option[..., j] = 1 - share, share
        options.append(option)
    weights = np.stack(options)  # (4, ..., 3)
    apart = ((weights[..., None] * triangles).sum(axis=-2) - points) ** 2
    cost = np.where((weights >= 0).all(axis=-1), apart.sum(axis=-1), np.inf)
    best = cost.argmin(axis=0)
    chosen: Floats = np.take_along_axis(weights, best[None, ..., None], axis=0)[0]
    return chosen


def _plane_weights(points: Floats, triangles: Floats) -> Floats:
    """Return (..., 3) the weights, some negative, of the projections onto triangles' planes."""
    a, b = (triangles[..., k, :] - triangles[..., 0, :] for k in (1, 2))
    offset = points - triangles[..., 0, :]
    aa, ab, bb = ((x * y).sum(axis=-1) for x, y in ((a, a), (a, b), (b, b)))
    ap, bp = ((x * offset).sum(axis=-1) for x in (a, b))
    area = aa * bb - ab * ab + 1e-30
    u, v = (bb * ap - ab * bp) / area, (aa * bp - ab * ap) / area
    return np.stack([1 - u - v, u, v], axis=-1)
