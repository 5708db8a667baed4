"""A texture layout for meshes that have none: the surface unrolled from a cylinder around it."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray

_MARGIN = 0.01
"""Of the picture, on every side."""


def unroll(verts: FloatArray, faces: NDArray[np.int32]) -> tuple[FloatArray, NDArray[np.int32]]:
    """Unroll a head that faces +Z; the seam runs down its back.

    Args:
        verts: (V, 3).
        faces: (F, 3).

    Returns:
        UVs (T, 2) in 0..1, v downwards, and (F, 3) which of them each corner has.
    """
    low, high = verts.min(axis=0), verts.max(axis=0)
    axis = (low + high) / 2
    turn = np.arctan2(verts[:, 0] - axis[0], verts[:, 2] - axis[2]) / (2 * pi) + 0.5
    height = (high[1] - verts[:, 1]) / max(float(high[1] - low[1]), 1e-9)
    corners = turn[faces]
    # Triangles over the seam go on beyond it, where their corners have a second place.
    beyond = (corners.max(axis=1) - corners.min(axis=1) > 0.5)[:, None] & (corners < 0.5)
    keys = faces.astype(np.int64) + beyond * len(verts)
    used, uv_faces = np.unique(keys, return_inverse=True)
    vertex = used % len(verts)
    u = turn[vertex] + (used >= len(verts))
    u = (u - u.min()) / max(float(u.max() - u.min()), 1e-9)
    uvs = np.stack([u, height[vertex]], axis=1) * (1 - 2 * _MARGIN) + _MARGIN
    return uvs.astype(np.float32), uv_faces.reshape(faces.shape).astype(np.int32)
