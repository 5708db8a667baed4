"""The image types that runtimes return."""

from __future__ import annotations

from collections.abc import Mapping
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

BLACK_LUMA, WHITE_LUMA = 16, 235
"""Luma of black and white in limited range."""
GREY_CHROMA = 128
"""Value of both chroma channels for greys."""


Layers = NDArray[np.uint8]
"""(H, W, 4) uint8, a head without background: the colours of the head, not multiplied with its
coverage, and the coverage."""

LAYER_GAP = 16
"""Rows between the two images of a layered frame: a macroblock, so that no block, interpolation or
loop filter of the video mixes both."""


def layered_rows(size: int) -> int:
    """Return the rows of a layered frame: NV12 of a head without background.

    Its upper `size` rows are the colours of the head, which continue beyond its outline; its lower
    `size` rows are the coverage as luma, `BLACK_LUMA` to `WHITE_LUMA`. Half of the gap between
    continues either.

    Args:
        size: Rows and columns of the head's image.
    """
    return 2 * size + LAYER_GAP


StageTimes = Mapping[str, float]
"""Milliseconds by stage of a frame, in the order of the stages. A runtime measures `raster` (posing
and rasterizing the head) and `warp` (the warp network and composition); `Frame.stages_ms` of the
server has all stages."""


class WarpedImage(NamedTuple):
    """An image warped from a cache, and the time each stage took."""

    rgb: RgbImage
    """(H, W, 3), owned by the caller: no buffer of the renderer."""
    stages_ms: StageTimes


class WarpedNv12(NamedTuple):
    """A frame for a video encoder, warped from a cache, and the time each stage took."""

    nv12: Nv12Image
    """(3 H/2, W), owned by the caller: no buffer of the renderer."""
    stages_ms: StageTimes
