"""Builds the head file of a fitted person: skin, eyes, teeth, hair and clothes follow the shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from models.capture.face_model import Identity
from models.capture.shape_space import ShapeSpace, with_hair
from models.heads.assembly import assemble
from models.heads.meshes import Floats
from models.heads.source import Source, refine

_FULL_M, _FADE_M = 0.012, 0.02
"""Up to this far from a landmark a vertex follows the field of offsets; it fades over the second
length."""
_LOWEST_M = -0.25
"""Vertices below this height are too far from all landmarks to be moved."""
_SMOOTHING = 1e-7
"""Smoothing of the thin-plate spline through the offsets, m^2."""


def build_head(space: ShapeSpace, identity: Identity, hair: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of the head file of a person.

    Args:
        space: Shapes of heads.
        identity: The person's.
        hair: One of `shape_space.HAIR_CUTS`.
    """
    return assemble(refine(person_source(space, identity, hair)))


def person_source(space: ShapeSpace, identity: Identity, hair: str) -> Source:
    """Return the base person moved to the shape of another, not refined."""
    source = with_hair(space.source, hair)
    shift = np.einsum("k,knj->nj", identity.shapes, space.shapes.astype(np.float64))
    shift += spread(space, identity.offsets)
    return replace(source, verts=source.verts + shift)


def spread(space: ShapeSpace, offsets: Floats) -> Floats:
    """Return (N, 3) the smooth field of offsets at all vertices, from those at landmarks (468, 3).

    Lashes, eyes and teeth have no landmarks of their own and move with what is near.
    """
    verts = refine(space.source).verts
    marks = space.landmarks.on(verts)
    near = verts[:, 1] > _LOWEST_M
    field = RBFInterpolator(marks, offsets, kernel="thin_plate_spline", smoothing=_SMOOTHING)
    distance, _ = cKDTree(marks).query(verts[near])
    fade = np.exp(-((np.maximum(distance - _FULL_M, 0) / _FADE_M) ** 2))
    moved = np.zeros_like(verts)
    moved[near] = field(verts[near]) * fade[:, None]
    return moved
