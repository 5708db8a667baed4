"""The visible mark in frames: a small label that says that a network has rendered them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.contract.avatar_info import AvatarInfo
from models.contract.images import RgbImage

MarkedAvatars = Literal["off", "real", "all"]
"""Avatars whose frames are marked: none, those of real people, or all."""

TEXT = "AI-rendered"
_TEXT_HEIGHT = 0.044
"""Font size as a share of the image's height: 14 pixels at 320, which video at 0.3 Mb/s keeps
legible."""
_SMALLEST_FONT = 9  # pixels
_MARGIN = 0.025  # of the image's height
_BACKGROUND, _INK = 18, 236  # grey levels
_BACKGROUND_ALPHA, _INK_ALPHA = 190, 245  # of 255
_SUPERSAMPLING = 4


@dataclass(frozen=True)
class Mark:
    """Draws the label.

    Args:
        marked: Avatars that get it.
    """

    marked: MarkedAvatars

    def applies_to(self, avatar: AvatarInfo) -> bool:
        """Return whether frames of an avatar are marked."""
        return self.marked == "all" or (self.marked == "real" and avatar.subject is not None)

    def draw(self, avatar: AvatarInfo, rgb: RgbImage) -> None:
        """Draw the label into the bottom left corner of an image, in place, if it is due.

        Args:
            avatar: The avatar in the image.
            rgb: (H, W, 3) uint8.
        """
        if not self.applies_to(avatar):
            return
        height, width = rgb.shape[:2]
        keep, add = _label(height)
        margin = round(_MARGIN * height)
        rows = slice(height - margin - len(keep), height - margin)
        # An image smaller than the label shows the part that it has room for.
        area = rgb[rows, margin : min(width, margin + keep.shape[1])]
        # Weights of 8 bits: uint16 holds 255 * 256.
        area[:] = (area * keep[:, : area.shape[1]] + add[:, : area.shape[1]]) >> 8


@lru_cache(maxsize=16)
def _label(height: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return what an image of this height is multiplied with, and what is added, both times 256.

    Returns:
        Two arrays (h, w, 3) uint16, alike in all colours, which numpy is faster with than with one.
    """
    size = max(_SMALLEST_FONT, round(_TEXT_HEIGHT * height))
    font = ImageFont.load_default(size * _SUPERSAMPLING)
    left, top, right, bottom = font.getbbox(TEXT)
    pad = 0.45 * size * _SUPERSAMPLING
    # Even sizes, because video has half the resolution in colour.
    w, h = (2 * round(s / _SUPERSAMPLING / 2) for s in (right - left + 2 * pad, bottom - top + pad))
    label = Image.new("LA", (w * _SUPERSAMPLING, h * _SUPERSAMPLING), (_BACKGROUND, 0))
    pen = ImageDraw.Draw(label)
    box = (0, 0, label.width - 1, label.height - 1)
    pen.rounded_rectangle(box, label.height // 3, (_BACKGROUND, _BACKGROUND_ALPHA))
    text = ((label.width - right + left) / 2 - left, (label.height - bottom + top) / 2 - top)
    pen.text(text, TEXT, (_INK, _INK_ALPHA), font)
    # Reduced by averaging premultiplied values: edges keep their colour.
    values = np.asarray(label, np.float32).reshape(h, _SUPERSAMPLING, w, _SUPERSAMPLING, 2)
    alpha = (values[..., 1] / 255).mean((1, 3))
    ink = (values[..., 0] * values[..., 1] / 255).mean((1, 3))
    keep = np.repeat(np.rint(256 * (1 - alpha)).astype(np.uint16)[..., None], 3, 2)
    return keep, np.repeat(np.floor(256 * ink).astype(np.uint16)[..., None], 3, 2)
