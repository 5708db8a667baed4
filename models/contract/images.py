"""The image types that runtimes return."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRIDE = 32
"""Image sizes must be multiples of it: the generator halves features five times."""
RgbImage = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""


Nv12Image = NDArray[np.uint8]
"""(3 H/2, W) uint8, what video encoders take: H rows of luma, then H/2 rows of both chromas of 2x2
pixels, by turns; BT.601, limited range. Half the bytes of RGB."""


class WarpedImage(NamedTuple):
    """An image warped from a cache, and the time each stage took."""

    rgb: RgbImage
    """(H, W, 3), owned by the caller: no buffer of the renderer."""
    raster_ms: float
    """Time to pose and rasterize the head, milliseconds."""
    network_ms: float
    """Time for the warp network and composition, milliseconds."""


class WarpedNv12(NamedTuple):
    """A frame for a video encoder, warped from a cache, and the time each stage took."""

    nv12: Nv12Image
    """(3 H/2, W), owned by the caller: no buffer of the renderer."""
    raster_ms: float
    """See `WarpedImage`."""
    network_ms: float
    """See `WarpedImage`."""
