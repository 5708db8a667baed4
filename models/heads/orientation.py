"""Finds where a mesh has its top and its face, and turns it: glTF prescribes +Y up and +Z in front,
but exporters with +Z up and faces that look along -Z are common.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from models.heads.anatomy import MEDIAPIPE, MEDIAPIPE_EYES, MEDIAPIPE_LIPS, part_material
from models.heads.holes import find_loops, perimeter
from models.heads.meshes import Floats, Mesh

_UPPER, _LOWER = ("eye", "brow"), ("mouth", "jaw", "tongue")
"""How the names of expressions of the upper and of the lower face start."""
_UPPER_PARTS, _LOWER_PARTS = ("eye",), ("teeth", "tongue", "mouth")
"""Materials of parts that lie in the upper and in the lower face."""
_CLEAR = 0.75
"""Least cosine between a direction and the axis that it is taken for; halfway it is 0.7."""
_IN_FRONT = 0.08
"""Least distance of the face from the middle that shows where it is, as a share of the size."""
_BELOW = 0.12
"""Eyes lie at most this far below the middle, as a share of the size, in a mesh with +Y up."""
_APART = (0.08, 0.5)
"""Least and greatest distance of two eyes, as a share of the size."""
_MOUTH = (0.4, 2.0)
"""Least and greatest distance of the mouth from the middle of both eyes, by their distance."""
_BETWEEN = 0.2
"""Greatest distance of the mouth from the middle between both eyes, by their distance."""
_LEAST_UP = 0.02
"""Least distance of upper and lower face that shows where up is, as a share of the size."""
_UNLIKE = 0.06
"""Greatest difference of two eyes: of their places, mirrored, and perimeters, by the size."""
_LONGEST_HOLE = 0.8
"""Perimeter of an eye or a mouth at most, as a share of the size; outlines have 2 and more."""
_MOST_HOLES = 100
"""Eyes and mouth are sought among this many of the longest holes."""
_AXES = "XYZ"


def turn_upright(mesh: Mesh) -> tuple[Mesh, str | None]:
    """Turn a mesh so that +Y is up and +Z in front, as far as its own parts show both.

    Eyes are above the mouth, and both are in front of the middle. They are found by expressions, by
    the names of parts, by MediaPipe's landmarks, or by holes.

    Args:
        mesh: With expressions by ARKit's names, in any unit.

    Returns:
        The mesh, and what was done; None if nothing was.
    """
    up, front = _directions(mesh)
    rotation = np.stack([np.cross(up, front), up, front])
    if np.array_equal(rotation, np.eye(3)):
        return mesh, None
    turn = rotation.T.astype(np.float32)
    deltas = {name: delta @ turn for name, delta in mesh.deltas.items()}
    turned = replace(mesh, verts=mesh.verts @ rotation.T, deltas=deltas)
    return turned, f"turned the head: it had {_axis(up)} up and faced {_axis(front)}"


def _directions(mesh: Mesh) -> tuple[Floats, Floats]:
    """Return the axes (3,) upwards and to the front; +Y and +Z where nothing shows another one."""
    low, high = mesh.verts.min(axis=0), mesh.verts.max(axis=0)
    middle, size = (low + high) / 2, float(np.linalg.norm(high - low))
    upper, lower = _landmarks(mesh)
    if upper is None and lower is None and size > 0:
        upper, lower = _holes(mesh, middle, size)
    found = [point for point in (upper, lower) if point is not None]
    up = np.array([0.0, 1.0, 0.0])
    if not found:
        return up, np.array([0.0, 0.0, 1.0])
    if upper is not None and lower is not None:
        above = _nearest_axis(upper - lower, _LEAST_UP * size)
        up = up if above is None else above
    elif upper is not None and upper[1] - middle[1] < -_BELOW * size:
        up = np.array([0.0, 0.0, 1.0])
    face: Floats = np.mean(found, axis=0)
    front = _across(face - middle, up, size)
    if front is None:
        front = _across(face - _outline(mesh), up, size)
    if front is None:
        # The front of a mesh with +Z up is -Y, in Blender and in 3ds Max.
        front = np.array([0.0, 0.0, 1.0]) if up[2] == 0 else np.array([0.0, -up[2], 0.0])
    return up, front


def _across(direction: Floats, up: Floats, size: float) -> Floats | None:
    """Return the axis across `up` along a direction; None if that is not clear."""
    level = direction - up * (up @ direction)
    return _nearest_axis(level, _IN_FRONT * size)


def _outline(mesh: Mesh) -> Floats:
    """Return the middle (3,) of the longest open edge: of a mask or a neck, behind the face."""
    loops = find_loops(mesh.verts, mesh.faces)
    if not loops:
        return np.asarray(mesh.verts.mean(axis=0))
    longest = max(loops, key=lambda loop: perimeter(mesh.verts, loop))
    return np.asarray(mesh.verts[longest].mean(axis=0))


def _landmarks(mesh: Mesh) -> tuple[Floats | None, Floats | None]:
    """Return the middle (3,) of the upper and of the lower face, by names or by indices."""
    if len(mesh.verts) == MEDIAPIPE:
        eyes, lips = np.ravel(MEDIAPIPE_EYES), np.array(MEDIAPIPE_LIPS)
        return mesh.verts[eyes].mean(axis=0), mesh.verts[lips].mean(axis=0)
    upper, lower = _moved(mesh, _UPPER), _moved(mesh, _LOWER)
    return (
        _part(mesh, _UPPER_PARTS) if upper is None else upper,
        _part(mesh, _LOWER_PARTS) if lower is None else lower,
    )


def _moved(mesh: Mesh, starts: tuple[str, ...]) -> Floats | None:
    """Return the middle of what expressions whose names start so move; None if nothing moves."""
    weights = np.zeros(len(mesh.verts))
    for name, delta in mesh.deltas.items():
        if name.startswith(starts):
            weights += np.linalg.norm(delta, axis=1)
    return weights @ mesh.verts / weights.sum() if weights.any() else None


def _part(mesh: Mesh, materials: tuple[str, ...]) -> Floats | None:
    """Return the middle of the parts of these materials; None without any."""
    wanted = np.array([part_material(name) in materials for name in mesh.part_names])
    used = np.unique(mesh.faces[wanted[mesh.parts]])
    return mesh.verts[used].mean(axis=0) if len(used) else None


def _holes(mesh: Mesh, middle: Floats, size: float) -> tuple[Floats | None, Floats | None]:
    """Return the middle of two eyes, and of a mouth, that are holes: two alike, and one between.

    Args:
        mesh: In any unit.
        middle: (3,) of the mesh.
        size: Its diagonal.
    """
    verts = (mesh.verts - middle) / size
    loops = find_loops(verts, mesh.faces)
    found = [(verts[loop].mean(axis=0), perimeter(verts, loop)) for loop in loops]
    longest_first = sorted(found, key=lambda hole: -hole[1])
    holes = [hole for hole in longest_first if hole[1] < _LONGEST_HOLE][:_MOST_HOLES]
    best, eyes = _UNLIKE, None
    for (one, length), (other, other_length) in combinations(holes, 2):
        across = int(np.abs(one - other).argmax())
        mirrored = other.copy()
        mirrored[across] *= -1
        unlike = float(np.linalg.norm(one - mirrored)) + abs(length - other_length)
        if _APART[0] < abs(one - other)[across] < _APART[1] and unlike < best:
            best, eyes = unlike, (one, other)
    if eyes is None:
        return None, None
    between = np.mean(eyes, axis=0)
    apart = np.linalg.norm(eyes[0] - eyes[1])
    aside = (eyes[0] - eyes[1]) / apart
    for hole, _ in holes:  # the longest that is in the middle, at the distance of a mouth
        away = np.linalg.norm(hole - between) / apart
        if _MOUTH[0] < away < _MOUTH[1] and abs((hole - between) @ aside) < _BETWEEN * apart:
            return between * size + middle, hole * size + middle
    return between * size + middle, None


def _nearest_axis(direction: Floats, least: float) -> Floats | None:
    """Return the axis along a direction; None if it is short or between axes."""
    length = float(np.linalg.norm(direction))
    index = int(np.abs(direction).argmax())
    if length <= least or abs(direction[index]) < _CLEAR * length:
        return None
    axis = np.zeros(3)
    axis[index] = np.sign(direction[index])
    return axis


def _axis(direction: Floats) -> str:
    index = int(np.abs(direction).argmax())
    return f"{'+' if direction[index] > 0 else '-'}{_AXES[index]}"
