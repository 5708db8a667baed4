"""The landmarks of a head as a function of its shape, its expression and its pose.

A landmark is linear in the shapes and in the coefficients; that of an iris also, for the small
turns of an eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.capture.landmarks import FACE_POINTS
from models.capture.shape_space import ShapeSpace
from models.heads.eyes import ANGLE_KAPPA_RAD, CORNEA_M, EYE_POSITION
from models.heads.meshes import Floats, fit_sphere
from models.heads.source import EYE_PITCH_RAD, EYE_YAW_RAD, Source, refine

_SIDES = (("Right", "helper-r-eye", -1.0), ("Left", "helper-l-eye", 1.0))
"""Irises in the order of `landmarks.IRISES`: side, group of the eyeball, outwards along x."""


@dataclass(frozen=True)
class FaceModel:
    """The 470 observed landmarks of all heads of a shape space, in head space."""

    names: tuple[str, ...]
    """The E coefficients."""
    average: Floats
    """(470, 3) metres, of the base person at rest."""
    shapes: Floats
    """(470, 3, K) metres per shape at 1."""
    expressions: Floats
    """(470, 3, E) metres per coefficient at 1."""

    def at_rest(self, identity: Identity) -> Floats:
        """Return (470, 3) the landmarks of a person at rest."""
        points: Floats = self.average + self.shapes @ identity.shapes
        points[:FACE_POINTS] += identity.offsets
        return points


@dataclass(frozen=True)
class Identity:
    """The shape of one person."""

    shapes: Floats
    """(K,) coefficients of the shape space."""
    offsets: Floats
    """(468, 3) metres by which landmarks of the skin deviate from that."""


def average_identity(space: ShapeSpace) -> Identity:
    """Return the identity of the base person."""
    return Identity(np.zeros(len(space.names)), np.zeros((FACE_POINTS, 3)))


def face_model(space: ShapeSpace) -> FaceModel:
    """Return the landmarks of a shape space."""
    source = refine(space.source)
    marks = space.landmarks
    skin = marks.on(source.verts)
    used = space.shapes[:, marks.corners].astype(np.float64)  # (K, 468, 3 corners, 3)
    skin_shapes = np.einsum("ij,kijc->ick", marks.weights, used)
    deltas = np.einsum("ij,eijc->ice", marks.weights, source.deltas[:, marks.corners])
    irises, iris_turns = _irises(source)
    return FaceModel(
        names=source.names,
        average=np.concatenate([skin, irises]),
        shapes=np.concatenate([skin_shapes, _eye_shapes(space)]),
        expressions=np.concatenate([deltas, iris_turns]),
    )


def _irises(source: Source) -> tuple[Floats, Floats]:
    """Return (2, 3) the middles of the irises and (2, 3, E) how coefficients turn them."""
    points, turns = [], np.zeros((2, 3, len(source.names)))
    for row, (side, group, outwards) in enumerate(_SIDES):
        centre, radius = fit_sphere(source.verts[np.unique(source.quads[group])])
        # As `heads.eyes.eyeball` models it: eyes converge on the default viewer.
        yaw = outwards * ANGLE_KAPPA_RAD - np.arctan2(centre[0], EYE_POSITION[2])
        axis = np.array([np.sin(yaw), 0, np.cos(yaw)]) * (radius + CORNEA_M)
        points.append(centre + axis)
        for name, turn in (
            (f"eyeLookOut{side}", [0, outwards * EYE_YAW_RAD, 0]),
            (f"eyeLookIn{side}", [0, -outwards * EYE_YAW_RAD, 0]),
            (f"eyeLookDown{side}", [EYE_PITCH_RAD, 0, 0]),
            (f"eyeLookUp{side}", [-EYE_PITCH_RAD, 0, 0]),
        ):
            # To first order, because the fit takes expressions as linear.
            turns[row, :, source.names.index(name)] = np.cross(turn, axis)
    return np.array(points), turns


def _eye_shapes(space: ShapeSpace) -> Floats:
    """Return (2, 3, K) how shapes move the eyeballs."""
    means = [
        space.shapes[:, np.unique(space.source.quads[group])].mean(axis=1) for _, group, _ in _SIDES
    ]
    return np.stack(means).astype(np.float64).transpose(0, 2, 1)
