"""Weights of pixels in the loss: more for eyes and mouth, none where matte and mesh disagree."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.data.dataset import WEIGHT_UNIT
from models.geometry import rasterizer_numba
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.heads.parts import MASKS
from models.studio.materials import MATERIALS

Bytes = NDArray[np.uint8]

EYES, MOUTH = 3.0, 2.0
"""Weights of eyes with lids, and of the mouth with lips: small regions that people look at."""
_LID_M, _LIP = 0.5, 0.5
"""Value of a mask from which on a vertex belongs to lids or lips."""
_NEVER_COVERED = 128
"""Coverage (u8) below which a pixel inside the mesh is an error of the matte, or an occluder."""
_INSIDE_PX = 9
"""Width of the border of the mesh that is left out of this: there the mesh may be wrong."""
_AROUND_EYES_PX = 7


class PixelWeights:
    """Computes weights of frames.

    Args:
        head: The head.
        arrays: Arrays of its head file.
    """

    def __init__(self, head: Head, arrays: dict[str, NDArray[Any]]) -> None:
        self._head = head
        self._materials = arrays["materials"].astype(int)
        corner_masks = arrays["masks"][arrays["faces"]].mean(axis=1)
        self._lids = corner_masks[:, MASKS.index("eyelids")] > _LID_M
        self._lips = corner_masks[:, MASKS.index("lips")] > _LIP

    def weights(self, state: FrameState, coverage: Bytes) -> Bytes:
        """Return (H, W) u8 weights of a frame's pixels, in units of 1/`WEIGHT_UNIT`.

        Args:
            state: Of the frame.
            coverage: (H, W) of the person.
        """
        triangle = self.triangles(state, len(coverage))
        weight = np.ones(triangle.shape, np.float32)
        weight[self._mouth(triangle)] = MOUTH
        eyes = cv2.dilate(self._eyes(triangle).astype(np.uint8), _disk(_AROUND_EYES_PX))
        weight[np.asarray(eyes) > 0] = EYES
        inside = cv2.erode((triangle >= 0).astype(np.uint8), _disk(_INSIDE_PX))
        weight[(np.asarray(inside) > 0) & (coverage < _NEVER_COVERED)] = 0
        return np.round(weight * WEIGHT_UNIT).astype(np.uint8)

    def triangles(self, state: FrameState, size: int) -> NDArray[np.int32]:
        """Return (size, size) the visible triangle of each pixel, -1 off the head."""
        geometry = pose_geometry(self._head, state, size)
        return rasterizer_numba.rasterize(
            geometry.xy, geometry.inverse_depth, self._head.faces, size, size
        ).triangle

    def _eyes(self, triangle: NDArray[np.int32]) -> NDArray[np.bool_]:
        on = np.isin(self._materials, [MATERIALS.index("eye"), MATERIALS.index("lash")])
        return self._where(triangle, on | self._lids)

    def _mouth(self, triangle: NDArray[np.int32]) -> NDArray[np.bool_]:
        inner = [MATERIALS.index(name) for name in ("mouth", "teeth", "tongue")]
        return self._where(triangle, np.isin(self._materials, inner) | self._lips)

    @staticmethod
    def _where(triangle: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (triangle >= 0) & chosen[np.maximum(triangle, 0)]
        return found


def _disk(width: int) -> Bytes:
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(shape, np.uint8)
