"""The background plate, and the exposure of each frame against it.

Cameras change exposure and white balance while they film. The gain of a frame is the ratio of its
background to the plate, for each colour channel; frames are divided by it, so that training sees
one person in one light.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.heads.meshes import Floats

Bytes = NDArray[np.uint8]

_AROUND_PX = 9
"""Width of the border around a person that is not taken for background."""
_CLEAR = 8
"""Coverage (u8) up to which a pixel is background."""
_INPAINT_PX = 7
_USABLE_LEVELS = (20, 235)
"""Levels of the plate between which a ratio measures the gain: darker ones are noise, brighter ones
clipped."""
_LEAST_PIXELS = 500
"""A frame with fewer pixels of background keeps a gain of 1."""
_GAINS = (0.4, 2.5)
_STEP_GAIN = 1.06
"""Ratio of the gains of consecutive frames from which on exposure is called stepped."""


class Plate(NamedTuple):
    """The background without the person."""

    rgb: Bytes
    """(H, W, 3) uint8 image."""
    seen: NDArray[np.bool_]
    """(H, W) where any frame showed the background; the rest is inpainted."""


def background_mask(coverage: Bytes) -> NDArray[np.bool_]:
    """Return (H, W) where a frame shows the background for certain."""
    near = cv2.dilate(coverage, np.ones((_AROUND_PX, _AROUND_PX), np.uint8))
    return np.asarray(near) <= _CLEAR


def make_plate(frames: Sequence[Bytes], coverages: Sequence[Bytes]) -> Plate:
    """Return the median of the background over frames (H, W, 3); inpaint what no frame shows."""
    images = np.array(frames, np.float32)
    images[~np.array([background_mask(coverage) for coverage in coverages])] = np.nan
    seen = np.asarray(np.isfinite(images[..., 0]).any(axis=0))
    median = np.zeros(images.shape[1:], np.float32)
    median[seen] = np.nanmedian(images[:, seen], axis=0)
    hidden = np.asarray(~seen, np.uint8)
    filled = cv2.inpaint(median.astype(np.uint8), hidden, _INPAINT_PX, cv2.INPAINT_TELEA)
    return Plate(np.asarray(filled, np.uint8), seen)


def exposure_gain(frame: Bytes, coverage: Bytes, plate: Plate) -> Floats:
    """Return (3,) the gains of a frame's channels against the plate; 1 where too little shows.

    Args:
        frame: (H, W, 3) uint8 image.
        coverage: (H, W) uint8 coverage of the person.
        plate: The background.
    """
    low, high = _USABLE_LEVELS
    usable = plate.seen & background_mask(coverage)
    usable &= (plate.rgb > low).all(axis=2) & (plate.rgb < high).all(axis=2)
    if usable.sum() < _LEAST_PIXELS:
        return np.ones(3)
    ratios = frame[usable].astype(np.float64) / plate.rgb[usable]
    # The median, because shadows and things that move change a part of the background.
    gain: Floats = np.clip(np.median(ratios, axis=0), *_GAINS)
    return gain


def at_plate_exposure(frame: Bytes, gain: Floats) -> Bytes:
    """Return a frame as it would be at the exposure of the plate."""
    even = frame.astype(np.float32) / gain.astype(np.float32)
    return np.clip(even + 0.5, 0, 255).astype(np.uint8)


def exposure_steps(gains: Floats) -> int:
    """Return how often the exposure jumps, from the gains (N, 3) of consecutive frames."""
    brightness = gains.mean(axis=1)
    ratio = brightness[1:] / brightness[:-1]
    return int((np.maximum(ratio, 1 / ratio) > _STEP_GAIN).sum())
