"""Removes parts of the head that the mesh does not cover, and shows the background plate there.

The warp reads pixels beside the mesh from their position in the cache, so they do not move when the
head turns, and appear as specks. A frame for training shows no hair and no ears there. The torso
hardly moves, and its mesh is less exact: neck and clothes beside it are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from models.capture.stabilization import body_share
from models.contract.frame_state import FrameState
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.geometry.smoothstep import smoothstep
from models.heads.meshes import Floats

Bytes = NDArray[np.uint8]

_FULL_PX, _NONE_PX = 1.0, 3.0
"""Distance from the mesh up to which a pixel stays as filmed, and beyond which it is replaced by
the plate, in pixels at 320 rows. A pixel beside the mesh contains a part of its edge."""
_ROWS = 320
_HEAD = (0.1, 0.3)
"""Share of the body's motion up to which a pixel belongs to the head, and from which on to the
torso. That of a pixel beside the mesh is the nearest one's on it."""
_SOFT = 0.015
"""Standard deviation by which head and torso are blended, in units of the image's side: the nearest
pixel changes from jaw to neck at once."""


def remove_uncovered(
    head: Head, state: FrameState, frame: tuple[Bytes, Bytes], plate: Bytes
) -> tuple[Bytes, Bytes]:
    """Return image and coverage without the uncovered parts of the head, down to its neck.

    Args:
        head: The head.
        state: State of the frame.
        frame: Its image (H, W, 3), and its coverage (H, W).
        plate: (H, W, 3) the background.
    """
    rgb, coverage = frame
    kept = _kept(body_share(head, pose_geometry(head, state, len(rgb)), len(rgb)))
    shown = plate + kept[..., None] * (rgb.astype(np.float64) - plate)
    return _bytes(shown), _bytes(kept * coverage)


def _kept(share: Floats) -> Floats:
    """Return (S, S) how far pixels stay as filmed, from their `body_share`."""
    off = np.isnan(share)
    if off.all():
        return np.ones_like(share)
    away, nearest = distance_transform_edt(off, return_indices=True)
    far = smoothstep(_FULL_PX, _NONE_PX, away * (_ROWS / len(share)))
    head = gaussian_filter(1 - smoothstep(*_HEAD, share[tuple(nearest)]), _SOFT * len(share))
    return np.asarray(1 - far * head)


def _bytes(values: Floats) -> Bytes:
    return np.asarray(values + 0.5).astype(np.uint8)
