"""Fits hair, clothes and ears to mattes: few numbers each, by the overlap of outlines.

Hair first, then the body, then one ear and the other: each has few parameters, and their outlines
hardly meet. Tufts of the hair come last (`outline_shift.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from models.capture import ears
from models.capture.deformable import Deformable
from models.capture.outline_shift import WITHIN, outline_shift
from models.contract.frame_state import FrameState
from models.geometry import rasterizer_numba
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.geometry.smoothstep import smoothstep
from models.heads.meshes import Floats
from models.heads.source import HAIR_CENTRE

Mask = NDArray[np.bool_]

FIT_SIZE = 160
"""Rows and columns of the mattes that are compared."""
MATTES = 16
_EVALUATIONS, _EAR_EVALUATIONS = 350, 150
"""Evaluations in each search for the hair or the body, and for an ear."""
_FIRST_STEPS, _EAR_FIRST_STEPS = (0.4, 0.8), (1.6,)
"""Sizes of the first simplex, in units of the parameters. Each alone ends beside the best fit of
hair and body for some people."""
_RIDGE, _EAR_RIDGE = 5e-4, 1e-4
"""Cost of a squared parameter, as a share of the person's area, of which an ear is a small part."""
_HAIR_UNIT_M, _BODY_UNIT_M = 0.02, 0.05
"""Metres of one unit of a parameter."""
_HAIR_STARTS = (-0.002, 0.03)
"""Metres above the hairline between which the hair begins to follow the fit."""
_SHOULDER_FROM_M, _SHOULDER_M = 0.05, 0.08
"""Distance from the middle where shoulders begin, and over which they do."""
_BODY_STARTS_M = 0.07
"""Below the collar's plane the body follows the fit in full; at the plane it meets the neck."""
_MOST_RISE = 0.6
"""Part of its distance to the collar's plane by which the chest may rise: outlines do not show the
fit that the chest has folded over the neck. Shoulders are beside the neck and rise freely."""
_SEAM_M = 0.02
"""This far from the skin clothes are free of it; on the seam, which is not quite in the collar's
plane, they stay with it."""
_HAIR_PARAMETERS, _BODY_PARAMETERS = 5, 6
_OUTLINE_ROUNDS = 2
"""Rounds of moving hair onto the outline; more do not improve frames other than the fitted ones."""


class HullFit(NamedTuple):
    """The result."""

    verts: Floats
    """(V, 3) of the head file."""
    before: float
    """Pixels that only one of mesh and matte covers, as a share of the matte."""
    after: float


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
    """Return (V, 3) the vertices, those of the hair moved away from the skull.

    Args:
        part: The head.
        metres: (V,) of the vertices. Less of it counts near the hairline, where the hair meets the
            skin; nothing counts of other vertices.
    """
    free = np.where(part.hair, smoothstep(*_HAIR_STARTS, part.above_hairline), 0.0)
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


class _Search(NamedTuple):
    """The objective of the fit, and its minimization."""

    move: Callable[[Deformable, Floats], Floats]
    parameters: int
    beyond: float = 0.5
    """Cost of a pixel of the matte beside the mesh; that of one of the mesh beside the matte is the
    rest to 1."""
    ridge: float = _RIDGE
    first_steps: tuple[float, ...] = _FIRST_STEPS
    evaluations: int = _EVALUATIONS


_HAIR = _Search(with_hair_moved, _HAIR_PARAMETERS)
_BODY = _Search(with_body_moved, _BODY_PARAMETERS)
# An outline of the mesh at the quantile `WITHIN` of those of the mattes costs least.
_LEFT_EAR, _RIGHT_EAR = (
    _Search(
        partial(ears.with_ear_moved, side=side),
        ears.PARAMETERS,
        WITHIN,
        _EAR_RIDGE,
        _EAR_FIRST_STEPS,
        _EAR_EVALUATIONS,
    )
    for side in ears.SIDES
)


def fit_hull(
    head: Head,
    part: Deformable,
    states: Sequence[FrameState],
    mattes: Sequence[Mask],
) -> HullFit:
    """Move hair, clothes and ears so that outlines match mattes.

    Args:
        head: The head.
        part: The part that moves.
        states: States of the frames that are compared.
        mattes: (S, S) each: where the person covers these frames.
    """
    before = _mismatch(head, part.verts, states, mattes)
    for search in (_HAIR, _BODY):
        part = replace(part, verts=_best(head, part, states, mattes, search))
    part = replace(part, verts=with_ears_met(head, part, states, mattes))
    verts = with_outlines_met(head, part, states, mattes)
    return HullFit(verts, before, _mismatch(head, verts, states, mattes))


def with_ears_met(
    head: Head, part: Deformable, states: Sequence[FrameState], mattes: Sequence[Mask]
) -> Floats:
    """Return (V, 3) the vertices, those of the ears moved to match mattes; as `fit_hull`."""
    for search in (_LEFT_EAR, _RIGHT_EAR):
        part = replace(part, verts=_best(head, part, states, mattes, search))
    return part.verts


def with_outlines_met(
    head: Head, part: Deformable, states: Sequence[FrameState], mattes: Sequence[Mask]
) -> Floats:
    """Return (V, 3) the vertices, those of the hair moved to cover mattes; as `fit_hull`."""
    for _ in range(_OUTLINE_ROUNDS):
        shaped = head.with_neutral(part.verts.astype(np.float32))
        shift = outline_shift(shaped, part.hair, states, mattes)
        part = replace(part, verts=with_outline_shifted(part, shift))
    return part.verts


def _mismatch(
    head: Head,
    verts: Floats,
    states: Sequence[FrameState],
    mattes: Sequence[Mask],
    beyond: float = 0.5,
) -> float:
    """Return how many pixels only one of mesh and matte covers, as a share of the matte."""
    shaped = head.with_neutral(verts.astype(np.float32))
    shares = []
    for state, matte in zip(states, mattes, strict=True):
        mesh = outline(shaped, state, len(matte))
        apart = beyond * (matte & ~mesh).sum() + (1 - beyond) * (mesh & ~matte).sum()
        # Twice, so that half the cost on either side makes the share itself.
        shares.append(2 * apart / max(1, matte.sum()))
    return float(np.mean(shares))


def _best(
    head: Head,
    part: Deformable,
    states: Sequence[FrameState],
    mattes: Sequence[Mask],
    search: _Search,
) -> Floats:
    """Return the vertices (V, 3) for the best parameters."""

    def cost(parameters: Floats) -> float:
        apart = _mismatch(head, search.move(part, parameters), states, mattes, search.beyond)
        return apart + search.ridge * float((parameters**2).sum())

    def minimum(first_step: float) -> OptimizeResult:
        count = search.parameters
        simplex = np.vstack([np.zeros(count), first_step * np.eye(count)])
        # Nelder-Mead, because the cost counts pixels and has no gradient.
        options = {"maxfev": search.evaluations, "initial_simplex": simplex, "fatol": 1e-5}
        return minimize(cost, simplex[0], method="Nelder-Mead", options=options)

    best = min(map(minimum, search.first_steps), key=lambda found: float(found.fun))
    return search.move(part, best.x)
