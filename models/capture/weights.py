"""Weights of pixels in the loss: more for eyes and mouth, none where matte and mesh disagree."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.data.dataset import WEIGHT_UNIT
from models.heads.regions import HeadRegions, Region

Bytes = NDArray[np.uint8]

EYES, MOUTH = 3.0, 2.0
"""Weights of eyes with lids, and of the mouth with lips: small regions that people look at."""
_NEVER_COVERED = 128
"""Coverage (u8) below which a pixel inside the mesh is an error of the matte, or an occluder."""
_INSIDE_PX = 9
"""Width of the border of the mesh that is left out of this: there the mesh may be wrong."""
_AROUND_EYES_PX = 7


def pixel_weights(regions: HeadRegions, state: FrameState, coverage: Bytes) -> Bytes:
    """Return (H, W) u8 weights of a frame's pixels, in units of 1/`WEIGHT_UNIT`.

    Args:
        regions: Regions of the head.
        state: State of the frame.
        coverage: (H, W) uint8 coverage of the person.
    """
    shown = regions.shown(state, len(coverage))
    weight = np.ones(coverage.shape, np.float32)
    weight[shown == Region.MOUTH] = MOUTH
    eyes = cv2.dilate((shown == Region.EYES).astype(np.uint8), _disk(_AROUND_EYES_PX))
    weight[np.asarray(eyes) > 0] = EYES
    inside = cv2.erode((shown != Region.BACKGROUND).astype(np.uint8), _disk(_INSIDE_PX))
    weight[(np.asarray(inside) > 0) & (coverage < _NEVER_COVERED)] = 0
    return np.round(weight * WEIGHT_UNIT).astype(np.uint8)


def _disk(width: int) -> Bytes:
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(shape, np.uint8)
