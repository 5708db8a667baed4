"""Fits the hulls of hair and clothes to mattes: few numbers, by the overlap of outlines.

Hair first, then the body: each has few parameters, and the outlines of both hardly meet. Tufts of
the hair and the ears come last (`outline_shift.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from scipy.spatial import cKDTree

from models.capture.outline_shift import outline_shift
from models.capture.shape_space import BASE
from models.contract.frame_state import FrameState
from models.geometry import rasterizer_numba
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.heads.meshes import Floats, smoothstep
from models.heads.parts import MASKS
from models.heads.source import HAIR_CENTRE, above_collar
from models.studio.materials import MATERIALS

FIT_SIZE = 160
"""Rows and columns of the mattes that are compared."""
MATTES = 16
_EVALUATIONS = 350
"""Of the hair, and again of the body."""
_FIRST_STEPS = (0.4, 0.8)
"""Sizes of the first simplex, in units of the parameters. Each alone ends beside the best fit for
some people."""
_RIDGE = 5e-4
"""Cost of a squared parameter, as a share of the person's area."""
_HAIR_UNIT_M, _BODY_UNIT_M = 0.02, 0.05
"""Metres of one unit of a parameter."""
_HAIR_STARTS = (-0.002, 0.03)
"""Metres above the hairline between which the hair begins to follow the fit."""
_SHOULDER_FROM_M, _SHOULDER_M = 0.05, 0.08
"""Distance from the middle where shoulders begin, and over which they do."""
_BODY_STARTS_M = 0.07
"""Below the collar's plane the body follows the fit in full; at the plane it meets the neck."""
_MOST_RISE = 0.6
"""Of its distance to the collar's plane that the chest may rise: outlines do not tell the fit that
it has folded over the neck. Shoulders are beside the neck and rise freely."""
_SEAM_M = 0.02
"""This far from the skin clothes are free of it; on the seam, which is not quite in the collar's
plane, they stay with it."""
_EAR = 0.5
"""Value of the mask of ears from which on a vertex is one of theirs."""
_EAR_ROOT_M = 0.012
"""Over this distance from the cheek an ear begins to follow the outline: its root stays."""
_HAIR_PARAMETERS, _BODY_PARAMETERS = 5, 6
_OUTLINE_ROUNDS = 2
"""Of moving hair and ears onto the outline; more gain nothing on frames beside the fitted ones."""


@dataclass(frozen=True)
class Deformable:
    """What moves of a head file."""

    verts: Floats
    """(V, 3) of the head file."""
    hair: NDArray[np.bool_]
    """(V,) vertices of hair."""
    cloth: NDArray[np.bool_]
    """(V,) vertices of clothes."""
    ears: NDArray[np.bool_]
    """(V,) vertices of the ears' skin."""
    above_hairline: Floats
    """(V,) metres."""
    below_collar: Floats
    """(V,) metres."""
    from_skin: Floats
    """(V,) metres to the nearest vertex of skin: 0 on the seam of clothes and neck."""
    from_cheek: Floats
    """(V,) metres to the nearest vertex of skin that is not the ears'."""


class HullFit(NamedTuple):
    """The result."""

    verts: Floats
    """(V, 3) of the head file."""
    before: float
    """Pixels that only one of mesh and matte covers, as a share of the matte."""
    after: float


def deformable(arrays: dict[str, NDArray[Any]]) -> Deformable:
    """Return what moves of the arrays of a head file."""
    marked = {}
    for material in ("hair", "cloth", "skin"):
        faces = arrays["faces"][arrays["materials"] == MATERIALS.index(material)]
        marked[material] = np.zeros(len(arrays["neutral"]), bool)
        marked[material][faces] = True
    above = arrays["masks"][:, MASKS.index("hair")].astype(np.float64)
    verts = arrays["neutral"].astype(np.float64)
    from_skin, _ = cKDTree(verts[marked["skin"]]).query(verts)
    below = -above_collar(verts, BASE)
    ears = marked["skin"] & (arrays["masks"][:, MASKS.index("ears")] > _EAR)
    from_cheek, _ = cKDTree(verts[marked["skin"] & ~ears]).query(verts)
    return Deformable(
        verts, marked["hair"], marked["cloth"], ears, above, below, from_skin, from_cheek
    )


def with_hair_moved(part: Deformable, hair: Floats) -> Floats:
    """Return (V, 3) the vertices for the parameters of the hair.

    Args:
        part: The head.
        hair: (5,) its distance from the skull in all directions, upwards, to the left, above
            (again, for a flat top) and to the front.
    """
    out = _from_skull(part)[part.hair]
    shapes = np.stack([np.ones(len(out)), out[:, 1], out[:, 0], out[:, 1] ** 2, out[:, 2]], axis=1)
    metres = np.zeros(len(part.verts))
    metres[part.hair] = shapes @ hair * _HAIR_UNIT_M
    return with_outline_shifted(part, metres)


def with_outline_shifted(part: Deformable, metres: Floats) -> Floats:
    """Return (V, 3) the vertices, those of hair and ears moved away from the skull.

    Args:
        part: The head.
        metres: (V,) of the vertices. Less of it counts near the hairline and at the roots of the
            ears, where they meet the skin; nothing counts of other vertices.
    """
    free = np.where(part.hair, smoothstep(*_HAIR_STARTS, part.above_hairline), 0.0)
    free[part.ears] = smoothstep(0.0, _EAR_ROOT_M, part.from_cheek[part.ears])
    return np.asarray(part.verts + _from_skull(part) * (metres * free)[:, None])


def _from_skull(part: Deformable) -> Floats:
    """Return (V, 3) the unit directions from the middle of the skull to the vertices."""
    offset = part.verts - HAIR_CENTRE
    return np.asarray(offset / np.linalg.norm(offset, axis=1, keepdims=True))


def with_body_moved(part: Deformable, body: Floats) -> Floats:
    """Return (V, 3) the vertices for the parameters of the body.

    Args:
        part: The head.
        body: (6,) width of the shoulders, height of the body below the neck, slope of the
            shoulders, their distance to the front, how much higher the left one is, and how far the
            body lies to the left.
    """
    verts = part.verts.copy()
    points = verts[part.cloth]
    outer = smoothstep(0.0, 1.0, (np.abs(points[:, 0]) - _SHOULDER_FROM_M) / _SHOULDER_M)
    below = part.below_collar[part.cloth]
    free = smoothstep(0.0, _BODY_STARTS_M, below)
    free *= smoothstep(0.0, _SEAM_M, part.from_skin[part.cloth])
    left = np.sign(points[:, 0]) * outer
    shift = np.stack(
        [
            points[:, 0] * outer * body[0] / _BODY_UNIT_M + body[5],
            body[1] + 2 * body[2] * outer + body[4] * left,
            body[3] * outer,
        ],
        axis=1,
    )
    shift *= free[:, None] * _BODY_UNIT_M
    unfolded = np.minimum(shift[:, 1], _MOST_RISE * np.maximum(below, 0))
    shift[:, 1] = outer * shift[:, 1] + (1 - outer) * unfolded
    verts[part.cloth] += shift
    return verts


def outline(head: Head, state: FrameState, size: int) -> NDArray[np.bool_]:
    """Return (size, size) where a head covers the image."""
    geometry = pose_geometry(head, state, size)
    fragments = rasterizer_numba.rasterize(
        geometry.xy, geometry.inverse_depth, head.faces, size, size
    )
    return fragments.mask


def fit_hull(
    head: Head,
    part: Deformable,
    states: Sequence[FrameState],
    mattes: Sequence[NDArray[np.bool_]],
) -> HullFit:
    """Move hair and clothes so that outlines match mattes.

    Args:
        head: The head.
        part: The part that moves.
        states: Of frames.
        mattes: Where the person covers these frames, square.
    """

    def mismatch(verts: Floats) -> float:
        shaped = head.with_neutral(verts.astype(np.float32))
        shares = [
            (outline(shaped, state, len(matte)) != matte).sum() / max(1, matte.sum())
            for state, matte in zip(states, mattes, strict=True)
        ]
        return float(np.mean(shares))

    before = mismatch(part.verts)
    for move, count in ((with_hair_moved, _HAIR_PARAMETERS), (with_body_moved, _BODY_PARAMETERS)):
        part = replace(part, verts=_best(part, move, count, mismatch))
    verts = with_outlines_met(head, part, states, mattes)
    return HullFit(verts, before, mismatch(verts))


def with_outlines_met(
    head: Head,
    part: Deformable,
    states: Sequence[FrameState],
    mattes: Sequence[NDArray[np.bool_]],
) -> Floats:
    """Return (V, 3) the vertices, those of hair and ears moved to cover mattes; as `fit_hull`."""
    for _ in range(_OUTLINE_ROUNDS):
        shaped = head.with_neutral(part.verts.astype(np.float32))
        # Apart: hair above an ear would follow the ear.
        shift = sum(outline_shift(shaped, each, states, mattes) for each in (part.hair, part.ears))
        part = replace(part, verts=with_outline_shifted(part, np.asarray(shift)))
    return part.verts


def _best(
    part: Deformable,
    move: Callable[[Deformable, Floats], Floats],
    count: int,
    mismatch: Callable[[Floats], float],
) -> Floats:
    """Return the vertices (V, 3) for the best of `count` parameters."""

    def cost(parameters: Floats) -> float:
        return mismatch(move(part, parameters)) + _RIDGE * float((parameters**2).sum())

    def search(first_step: float) -> OptimizeResult:
        simplex = np.vstack([np.zeros(count), first_step * np.eye(count)])
        options = {"maxfev": _EVALUATIONS, "initial_simplex": simplex, "fatol": 1e-5}
        return minimize(cost, simplex[0], method="Nelder-Mead", options=options)

    best = min(map(search, _FIRST_STEPS), key=lambda found: float(found.fun))
    return move(part, best.x)
