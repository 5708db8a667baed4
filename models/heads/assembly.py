"""Joins the parts of a person into the arrays of a head file, in one atlas."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heads.clothes import cloth_parts
from models.heads.eyes import EYE_POSITION, eye_part, lash_part
from models.heads.face import mouth_parts, skin_parts
from models.heads.hair import hair_parts
from models.heads.meshes import Floats, fit_sphere
from models.heads.parts import JOINTS, MASKS, Part, joined_geometry
from models.heads.source import EYE_PITCH_RAD, EYE_YAW_RAD, Source
from models.studio.materials import MATERIALS

FOV_Y_RAD = radians(23)
"""Frames head and collar from `EYE_POSITION`."""

BOXES = {
    "face": (0.004, 0.004, 0.992, 0.692),
    "hair": (0.004, 0.704, 0.27, 0.27),
    "cloth": (0.28, 0.704, 0.20, 0.20),
    "collar": (0.28, 0.912, 0.20, 0.06),
    "neck": (0.49, 0.704, 0.16, 0.16),
    "eyeLeft": (0.66, 0.704, 0.125, 0.125),
    "eyeRight": (0.79, 0.704, 0.125, 0.125),
    "mouth": (0.66, 0.836, 0.16, 0.12),
    "tongue": (0.83, 0.836, 0.075, 0.12),
    "upperTeeth": (0.49, 0.87, 0.16, 0.05),
    "lowerTeeth": (0.49, 0.926, 0.16, 0.05),
    "bun": (0.912, 0.836, 0.084, 0.12),
    "sockets": (0.922, 0.704, 0.074, 0.06),
    "lashes": (0.922, 0.77, 0.074, 0.05),
}
"""Atlas boxes (u, v, width, height) of the parts in the unit square, v downwards."""

_MARGIN = 0.004
"""Around each part, in units of the atlas: 4 texels of 1024."""


def in_box(uvs: Floats, box: str) -> Floats:
    """Fit texture coordinates into a box of the atlas, with a margin against bleeding."""
    u, v, width, height = BOXES[box]
    low, high = uvs.min(0), uvs.max(0)
    size = np.array([width - 2 * _MARGIN, height - 2 * _MARGIN])
    fitted: Floats = (uvs - low) / (high - low) * size + [u + _MARGIN, v + _MARGIN]
    return fitted


def fit_boxes(parts: list[Part]) -> list[Part]:
    """Fit every part into the atlas; parts that share a box share its scale."""
    fitted = list(parts)
    for box in {part.box for part in parts}:
        members = [i for i, part in enumerate(parts) if part.box == box]
        together = in_box(np.concatenate([parts[i].uvs for i in members]), box)
        start = 0
        for i in members:
            stop = start + len(parts[i].uvs)
            fitted[i] = replace(parts[i], uvs=together[start:stop])
            start = stop
    return fitted


def assemble(source: Source) -> dict[str, NDArray[Any]]:
    """Join all parts into the arrays of the head file."""
    parts = [
        *skin_parts(source),
        *mouth_parts(source),
        *(eye_part(source, side) for side in ("Left", "Right")),
        *(lash_part(source, side) for side in ("Left", "Right")),
        *hair_parts(source),
        *cloth_parts(source),
    ]
    parts = fit_boxes(parts)
    materials = [np.full(len(p.faces), MATERIALS.index(p.material), np.uint8) for p in parts]
    bones = source.bones
    eyes = [fit_sphere(source.verts[np.unique(source.quads[f"helper-{s}-eye"])])[0] for s in "lr"]
    return {
        **joined_geometry(parts),
        "expression_names": np.array(source.names),
        "deltas": np.concatenate([p.deltas for p in parts], axis=1).astype(np.float16),
        "joint_names": np.array(JOINTS),
        "joint_positions": np.array(
            [bones["neck01"], bones["head"], bones["jaw"], *eyes], np.float32
        ),
        "weights": np.concatenate([p.weights for p in parts]).astype(np.float32),
        "eye_yaw_rad": np.array(EYE_YAW_RAD, np.float32),
        "eye_pitch_rad": np.array(EYE_PITCH_RAD, np.float32),
        "jaw_open_axis": np.zeros(3, np.float32),
        "materials": np.concatenate(materials),
        "material_names": np.array(MATERIALS),
        "masks": np.concatenate([p.masks for p in parts]).astype(np.float32),
        "mask_names": np.array(MASKS),
        "eye_position": np.array(EYE_POSITION, np.float32),
        "fov_y_rad": np.array(FOV_Y_RAD, np.float32),
    }
