"""Fits the hulls of hair and clothes to mattes: few numbers, by the overlap of outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.contract.frame_state import FrameState
from models.geometry import rasterizer_numba
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.heads.meshes import Floats, smoothstep
from models.heads.parts import MASKS
from models.heads.source import HAIR_CENTRE
from models.studio.materials import MATERIALS

FIT_SIZE = 160
"""Rows and columns of the mattes that are compared."""
MATTES = 16
_EVALUATIONS = 700
_FIRST_STEP = 0.8
"""Size of the first simplex, in units of the parameters."""
_RIDGE = 5e-4
"""Cost of a squared parameter, as a share of the person's area."""
_HAIR_UNIT_M, _BODY_UNIT_M = 0.02, 0.05
"""Metres of one unit of a parameter."""
_HAIR_STARTS = (-0.002, 0.03)
"""Metres above the hairline between which the hair begins to follow the fit."""
_SHOULDER_FROM_M, _SHOULDER_M = 0.05, 0.08
"""Distance from the middle where shoulders begin, and over which they do."""
_HAIR_PARAMETERS, _BODY_PARAMETERS = 5, 4


@dataclass(frozen=True)
class Deformable:
    """What moves of a head file."""

    verts: Floats
    """(V, 3) of the head file."""
    hair: NDArray[np.bool_]
    """(V,) vertices of hair."""
    cloth: NDArray[np.bool_]
    """(V,) vertices of clothes."""
    above_hairline: Floats
    """(V,) metres."""


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
    for material in ("hair", "cloth"):
        faces = arrays["faces"][arrays["materials"] == MATERIALS.index(material)]
        marked[material] = np.zeros(len(arrays["neutral"]), bool)
        marked[material][faces] = True
    above = arrays["masks"][:, MASKS.index("hair")].astype(np.float64)
    return Deformable(arrays["neutral"].astype(np.float64), marked["hair"], marked["cloth"], above)


def moved(part: Deformable, parameters: Floats) -> Floats:
    """Return (V, 3) the vertices for the parameters of hair and body.

    Args:
        part: The head.
        parameters: (9,): of the hair, its distance from the skull in all directions, upwards, to
            the left, above (again, for a flat top) and to the front; of the body, the width of the
            shoulders, their height in the middle, their slope and their distance to the front.
    """
    hair, body = parameters[:_HAIR_PARAMETERS], parameters[_HAIR_PARAMETERS:]
    verts = part.verts.copy()
    offset = verts[part.hair] - HAIR_CENTRE
    out = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    shapes = np.stack([np.ones(len(out)), out[:, 1], out[:, 0], out[:, 1] ** 2, out[:, 2]], axis=1)
    begins = smoothstep(*_HAIR_STARTS, part.above_hairline[part.hair])
    verts[part.hair] += out * (shapes @ hair * _HAIR_UNIT_M * begins)[:, None]
    points = verts[part.cloth]
    outer = smoothstep(0.0, 1.0, (np.abs(points[:, 0]) - _SHOULDER_FROM_M) / _SHOULDER_M)
    points[:, 0] *= 1 + body[0] * outer
    points[:, 1] += (body[1] + 2 * body[2] * outer) * _BODY_UNIT_M
    points[:, 2] += body[3] * outer * _BODY_UNIT_M
    verts[part.cloth] = points
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

    def mismatch(parameters: Floats) -> float:
        shaped = replace(head, neutral=moved(part, parameters).astype(np.float32))
        shares = [
            (outline(shaped, state, len(matte)) != matte).sum() / max(1, matte.sum())
            for state, matte in zip(states, mattes, strict=True)
        ]
        return float(np.mean(shares))

    def cost(parameters: Floats) -> float:
        return mismatch(parameters) + _RIDGE * float((parameters**2).sum())

    start = np.zeros(_HAIR_PARAMETERS + _BODY_PARAMETERS)
    simplex = np.vstack([start, start + _FIRST_STEP * np.eye(len(start))])
    best = minimize(
        cost,
        start,
        method="Nelder-Mead",
        options={"maxfev": _EVALUATIONS, "initial_simplex": simplex},
    ).x
    return HullFit(moved(part, best), mismatch(start), mismatch(best))
