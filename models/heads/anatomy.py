"""Finds eyes, mouth, chin and jaw of a user's mesh.

They are found by the names of its parts, by the holes of eyes and mouth, or by the indices of
MediaPipe's 468 landmarks. Metres, +Y up, facing +Z.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.heads.gltf_file import MeshFileError
from models.heads.holes import find_loops, perimeter, weld
from models.heads.meshes import Floats, Ints, Mesh, fit_sphere

MATERIAL_WORDS = (
    ("lash", ("lash",)),
    ("skin", ("lid", "socket", "eyebrow")),
    ("eye", ("eye", "cornea", "sclera", "iris")),
    ("teeth", ("teeth", "tooth")),
    ("tongue", ("tongue",)),
    ("mouth", ("mouth", "gum", "oral")),
    ("hair", ("hair", "beard")),
    ("cloth", ("cloth", "shirt", "collar", "jumper")),
)
"""Material of a part by words in its name: the first match counts; without one it is skin."""

EYEBALL_M = 0.012
"""Radius of an adult's eyeball."""
_LARGEST_HOLE_M = 0.25
"""Longest perimeter of an eye or a mouth; the outline of a face or neck is longer."""
_MOST_HOLES = 100
"""The eyes are sought among this many of the longest holes."""
_EYEBALLS_M = (0.007, 0.02)
"""Least and greatest radius of a ball that may be an eyeball."""
_MOST_BALLS = 100
"""Pieces that are compared with an eyeball."""
MEDIAPIPE = 468
"""Vertices of MediaPipe's canonical face mesh; below, indices of its landmarks."""
MEDIAPIPE_EYES = ((263, 362, 386, 374), (33, 133, 159, 145))
MEDIAPIPE_LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
_LID_M = 0.0006
"""Gap between an eyeball and the rim of its lids."""

# Limits of what counts as a jaw, a mouth or an eye.
_MOST_MOVED, _LEAST_JAW_RAD = 0.6, np.radians(3)
"""The jaw's turn is fitted to vertices that move at least by this share of the greatest motion; a
smaller turn does not show where its hinge is."""
_MOUTH_ASIDE, _MOUTH_BELOW = 0.2, (0.4, 2)
"""Greatest distance of the mouth from the middle, and its distance below the eyes, both relative to
the distance of the eyes."""
_BALL_POINTS, _BALL_OFF = 12, 0.1
"""Least vertices of an eyeball, and their greatest mean distance from a sphere, by its radius."""
_BALL_SIDES = 3
"""Longest side of an eyeball's box, by the greatest radius; a ball has 2."""
_EYES_UNLIKE_M, _EYES_APART_M = 0.01, (0.04, 0.1)
"""Greatest difference of the places of two eyes, mirrored; range of their distance, which is about
0.063 m in adults."""
_SPHERE_POINTS = 4
"""Fewest points that define a sphere."""
_LEAST_DEPTH = 0.3
"""Least depth of an eyeball behind the rim of its lids, by its radius, where the rim is wider than
the eyeball."""
_FACE_DEPTH_M = 0.02
"""The chin is sought in front of the eyes' middle, less this."""


class Anatomy(NamedTuple):
    """Positions and regions of a mesh, metres."""

    eyes: Floats  # (2, 3) centres of the eyeballs, the person's left (+X) first
    radius: float
    eyeballs: Ints  # (n,) triangles that are eyeballs
    lids: list[Ints]  # vertices around each eye's hole
    mouth: Ints | None  # vertices around the mouth's hole, in order
    lips: Ints  # vertices on the lips
    holes: list[Ints]  # all holes that may be closed
    chin: Floats  # (3,)


def part_material(name: str) -> str:
    """Return the material of a part, by its name."""
    lowered = name.lower()
    for material, words in MATERIAL_WORDS:
        if any(word in lowered for word in words):
            return material
    return "skin"


def find_anatomy(mesh: Mesh) -> Anatomy:
    """Find eyes, mouth, chin and holes.

    Raises:
        MeshFileError: If the eyes cannot be found.
    """
    holes = [h for h in find_loops(mesh.verts, mesh.faces) if _is_hole(mesh, h)]
    eyeballs = _find_eyeballs(mesh)
    lids = [] if len(eyeballs) else _eye_holes(mesh.verts, holes)
    eyes, radius = _place_eyes(mesh, eyeballs, lids)
    below = [h for h in holes if _is_mouth(mesh.verts[h].mean(axis=0), eyes)]
    mouth = max(below, key=lambda h: perimeter(mesh.verts, h), default=None)
    landmarks = np.array(MEDIAPIPE_LIPS if len(mesh.verts) == MEDIAPIPE else (), np.int64)
    lips = landmarks if mouth is None else mouth
    return Anatomy(eyes, radius, eyeballs, lids, mouth, lips, holes, _find_chin(mesh, eyes))


def fit_jaw(verts: Floats, opening: Floats) -> Floats | None:
    """Return the hinge (3,) that `jawOpen` turns the chin about; None if it turns under 3 degrees.

    Args:
        verts: (V, 3) metres.
        opening: (V, 3) metres that `jawOpen` = 1 moves each vertex by.
    """
    moved = np.linalg.norm(opening, axis=1)
    if not moved.any():
        return None
    chosen = moved > _MOST_MOVED * moved.max()
    before, after = verts[chosen], verts[chosen] + opening[chosen]
    middle, middle_after = before.mean(axis=0), after.mean(axis=0)
    u, _, vt = np.linalg.svd((before - middle).T @ (after - middle_after))
    flip = np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
    rotation = vt.T @ flip @ u.T
    if np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)) < _LEAST_JAW_RAD:
        return None
    shift = middle_after - rotation @ middle
    # Of the plane of symmetry, the point that the rotation does not move.
    still = np.linalg.lstsq((np.eye(3) - rotation)[1:, 1:], shift[1:], rcond=None)[0]
    return np.array([0.0, *still])


def _is_hole(mesh: Mesh, loop: Ints) -> bool:
    return perimeter(mesh.verts, loop) < _LARGEST_HOLE_M


def _is_mouth(middle: Floats, eyes: Floats) -> bool:
    apart = abs(eyes[0, 0] - eyes[1, 0])
    below = eyes[:, 1].mean() - middle[1]
    least, greatest = _MOUTH_BELOW
    aside = abs(middle[0])
    return bool(aside < _MOUTH_ASIDE * apart and least * apart < below < greatest * apart)


def _find_eyeballs(mesh: Mesh) -> Ints:
    """Return the triangles of parts that are named eyes, or of two balls of the right size."""
    called = np.array([part_material(name) == "eye" for name in mesh.part_names])[mesh.parts]
    if called.any():
        return np.nonzero(called)[0]
    label = _pieces(mesh)
    piece = label[mesh.faces[:, 0]]
    balls = [p for p in _small_pieces(mesh.verts, label) if _is_eyeball(mesh, piece == p)]
    return np.nonzero(np.isin(piece, balls))[0] if len(balls) == 2 else np.zeros(0, np.int64)


def _small_pieces(verts: Floats, label: Ints) -> Ints:
    """Return the labels of the pieces that have the size of an eyeball, at most `_MOST_BALLS`."""
    low, high = np.full((len(verts), 3), np.inf), np.full((len(verts), 3), -np.inf)
    np.minimum.at(low, label, verts)
    np.maximum.at(high, label, verts)
    least, greatest = _EYEBALLS_M
    sides = (high - low).max(axis=1)
    fits = (sides > least) & (sides < _BALL_SIDES * greatest)
    return np.nonzero(fits)[0][:_MOST_BALLS]


def _is_eyeball(mesh: Mesh, chosen: Ints) -> bool:
    points = mesh.verts[np.unique(mesh.faces[chosen])]
    if len(points) < _BALL_POINTS:
        return False
    centre, radius = fit_sphere(points)
    off = np.abs(np.linalg.norm(points - centre, axis=1) - radius).mean()
    low, high = _EYEBALLS_M
    return bool(low < radius < high and off < _BALL_OFF * radius)


def _pieces(mesh: Mesh) -> Ints:
    """Return (V,) the label of the connected piece that each vertex belongs to."""
    welded = weld(mesh.verts)
    faces = welded[mesh.faces]
    label = np.arange(welded.max() + 1)
    while True:
        lower = label.copy()
        np.minimum.at(lower, faces.ravel(), np.repeat(label[faces].min(axis=1), 3))
        lower = lower[lower]
        if (lower == label).all():
            return np.asarray(label[welded])
        label = lower


def _eye_holes(verts: Floats, holes: list[Ints]) -> list[Ints]:
    """Return the two holes that mirror each other best, the left one first; [] if none do."""
    holes = sorted(holes, key=lambda h: -perimeter(verts, h))[:_MOST_HOLES]
    middles = [verts[h].mean(axis=0) for h in holes]
    best: tuple[float, list[Ints]] = (_EYES_UNLIKE_M, [])
    least, greatest = _EYES_APART_M
    for one, left in zip(middles, holes, strict=True):
        for other, right in zip(middles, holes, strict=True):
            apart = one[0] - other[0]
            off = float(np.linalg.norm(one - other * [-1, 1, 1]))
            if least < apart < greatest and off < best[0]:
                best = (off, [left, right])
    return best[1]


def _place_eyes(mesh: Mesh, eyeballs: Ints, lids: list[Ints]) -> tuple[Floats, float]:
    if len(eyeballs):
        used = np.unique(mesh.faces[eyeballs])
        sides = [used[mesh.verts[used, 0] * side > 0] for side in (1, -1)]
        if min(len(side) for side in sides) >= _SPHERE_POINTS:
            fits = [fit_sphere(mesh.verts[side]) for side in sides]
            return np.array([centre for centre, _ in fits]), float(np.mean([r for _, r in fits]))
    if not lids and len(mesh.verts) == MEDIAPIPE:
        lids = [np.array(eye) for eye in MEDIAPIPE_EYES]
    if not lids:
        raise MeshFileError(
            "cannot find the eyes: name the eyeballs' material or node 'eye', or leave two holes "
            "where they are; +Y must be up, and the face along +Z"
        )
    return np.array([_behind_lids(mesh.verts[rim]) for rim in lids]), EYEBALL_M


def _behind_lids(rim: Floats) -> Floats:
    """Return the centre (3,) of an eyeball that touches the rim of its lids."""
    middle: Floats = (rim.max(axis=0) + rim.min(axis=0)) / 2
    across = np.linalg.norm(rim[:, :2] - middle[:2], axis=1)
    reach = EYEBALL_M + _LID_M
    depth = np.sqrt(np.maximum(reach**2 - across**2, (_LEAST_DEPTH * reach) ** 2))
    middle[2] = np.mean(rim[:, 2] - depth)
    return middle


def _find_chin(mesh: Mesh, eyes: Floats) -> Floats:
    """Return the vertex that the jaw moves most, or the lowest one in front of the eyes."""
    if "jawOpen" in mesh.deltas and mesh.deltas["jawOpen"].any():
        chin: Floats = mesh.verts[np.argmax(np.linalg.norm(mesh.deltas["jawOpen"], axis=1))]
        return chin
    in_front = mesh.verts[:, 2] > eyes[:, 2].mean() - _FACE_DEPTH_M
    front = mesh.verts[in_front] if in_front.any() else mesh.verts
    lowest: Floats = front[np.argmin(front[:, 1])]
    return lowest
