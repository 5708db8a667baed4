"""A texture layout for meshes without one: a cylindrical projection, unrolled."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray

_MARGIN = 0.01
"""Empty border on every side, as a fraction of the texture: bilinear lookups at the edge stay
inside."""


def unroll(verts: FloatArray, faces: NDArray[np.int32]) -> tuple[FloatArray, NDArray[np.int32]]:
    """Project a head that faces +Z onto a cylinder and unroll it; the seam runs down its back.

    Args:
        verts: (V, 3) metres.
        faces: (F, 3) vertices of each triangle.

    Returns:
        UVs (T, 2) in 0..1, v downwards, and (F, 3) the row of them for each corner of each face.
    """
    low, high = verts.min(axis=0), verts.max(axis=0)
    axis = (low + high) / 2
    angle = np.arctan2(verts[:, 0] - axis[0], verts[:, 2] - axis[2]) / (2 * pi) + 0.5
    height = (high[1] - verts[:, 1]) / max(float(high[1] - low[1]), 1e-9)
    corners = angle[faces]
    # Triangles across the seam continue beyond u = 1: their corners get a second texture vertex,
    # otherwise they would stretch back over the whole texture.
    wrapped = (corners.max(axis=1) - corners.min(axis=1) > 0.5)[:, None] & (corners < 0.5)
    # A key per pair of vertex and side of the seam.
    keys = faces.astype(np.int64) + wrapped * len(verts)
    used, uv_faces = np.unique(keys, return_inverse=True)
    vertex = used % len(verts)
    u = angle[vertex] + (used >= len(verts))
    u = (u - u.min()) / max(float(u.max() - u.min()), 1e-9)
    uvs = np.stack([u, height[vertex]], axis=1) * (1 - 2 * _MARGIN) + _MARGIN
    return uvs.astype(np.float32), uv_faces.reshape(faces.shape).astype(np.int32)
