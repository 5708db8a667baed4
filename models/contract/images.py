"""Images that leave the models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""


class WarpedImage(NamedTuple):
    """An image warped from a cache, and how long its stages took."""

    rgb: RgbImage
    """(H, W, 3) uint8, owned by the receiver."""
    raster_ms: float
    """Posing the head and rasterizing it."""
    network_ms: float
    """Warp network and composition."""
