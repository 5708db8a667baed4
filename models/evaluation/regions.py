"""PSNR by region of a person, such as eyes and mouth, for each way to render a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.heads.regions import HeadRegions, Region

_LEAST_PIXELS = 20
"""Regions with fewer pixels in a frame are not measured: a closed mouth shows a few."""
_SMALLEST_ERROR = 1e-10
"""Mean squared error below which PSNR stays at 100 dB, as for whole images."""


class RegionScore(NamedTuple):
    """Scores of one region."""

    share: float
    """Part of the image that the region covers, in frames where it is visible, 0..1."""
    psnr: dict[str, float]
    """dB, mean over frames, by the way that they were rendered."""


class RegionScorer:
    """Collects scores of frames.

    Args:
        regions: Regions of the head that the frames show.
    """

    def __init__(self, regions: HeadRegions) -> None:
        self._regions = regions
        self._shares: dict[Region, list[float]] = defaultdict(list)
        self._psnr: dict[Region, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, state: FrameState, images: Mapping[str, RgbImage], truth: RgbImage) -> None:
        """Measure the images of one frame.

        Args:
            state: State of the frame: regions lie where it shows them, also for a stale image.
            images: (H, W, 3) images by the way that they were rendered.
            truth: (H, W, 3) image that the frame should show.
        """
        shown = self._regions.shown(state, len(truth))
        errors = {
            way: ((image.astype(np.float64) - truth) / 255) ** 2 for way, image in images.items()
        }
        for region in Region:
            inside = shown == region
            if inside.sum() < _LEAST_PIXELS:
                continue
            self._shares[region].append(float(inside.mean()))
            for way, error in errors.items():
                mean = max(float(error[inside].mean()), _SMALLEST_ERROR)
                self._psnr[region][way].append(-10 * np.log10(mean))

    def scores(self) -> dict[str, RegionScore]:
        """Return the scores of all regions that were seen, by name."""
        return {
            region.name.lower(): RegionScore(
                float(np.mean(self._shares[region])),
                {way: float(np.mean(values)) for way, values in ways.items()},
            )
            for region, ways in sorted(self._psnr.items())
        }
