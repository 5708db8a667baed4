"""Images of the fake engine, which encode four numbers: the grey of each quarter is one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.images import (
    BLACK_LUMA,
    GREY_CHROMA,
    LAYER_GAP,
    WHITE_LUMA,
    Nv12Image,
    RgbImage,
    layered_rows,
)

Numbers = NDArray[np.float32]
"""(2,) in 0..1."""


def encode_image(size: int, values: Numbers, cached: Numbers) -> RgbImage:
    """Return an image (size, size, 3): the numbers of its state above, those of its cache below."""
    grey = np.rint(255 * _quarters(size, values, cached)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def encode_frame(size: int, values: Numbers, cached: Numbers) -> Nv12Image:
    """Return a frame of video (3 size/2, size), as `encode_image`."""
    nv12 = np.full((size * 3 // 2, size), GREY_CHROMA, np.uint8)
    nv12[:size] = np.rint(BLACK_LUMA + (WHITE_LUMA - BLACK_LUMA) * _quarters(size, values, cached))
    return nv12


def put_over(nv12: Nv12Image, backdrop: Backdrop) -> Nv12Image:
    """Return a frame over a backdrop: an edge of one colour, or a head that covers all.

    The edge is two rows in the middle, which `decode_frame` does not read.
    """
    size = nv12.shape[1]
    if backdrop != TRANSPARENT:
        assert backdrop.colour is not None
        luma = BLACK_LUMA + (WHITE_LUMA - BLACK_LUMA) / 255 * backdrop.colour[1]
        nv12[size // 2 - 1 : size // 2 + 1] = np.rint(luma)
        return nv12
    rows = layered_rows(size)
    layered = np.full((rows * 3 // 2, size), GREY_CHROMA, np.uint8)
    layered[:size], layered[size:rows] = nv12[:size], BLACK_LUMA
    layered[size + LAYER_GAP : rows] = WHITE_LUMA
    return layered


def _quarters(size: int, values: Numbers, cached: Numbers) -> Numbers:
    """Return a grey image (size, size) in 0..1: two numbers above, two below."""
    return np.array([values, cached]).repeat(size // 2, 0).repeat(size // 2, 1)
