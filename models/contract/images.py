"""The image types that runtimes return."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRIDE = 32
"""Image sizes must be multiples of it: the generator halves features five times."""
RgbImage = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""


class WarpedImage(NamedTuple):
    """An image warped from a cache, and the time each stage took."""

    rgb: RgbImage
    """(H, W, 3), owned by the caller: no buffer of the renderer."""
    raster_ms: float
    """Time to pose and rasterize the head, milliseconds."""
    network_ms: float
    """Time for the warp network and composition, milliseconds."""
