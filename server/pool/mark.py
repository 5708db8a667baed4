"""The visible mark in frames: a small label, "AI-rendered"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.contract.avatar_info import AvatarInfo
from models.contract.images import (
    BLACK_LUMA,
    GREY_CHROMA,
    LAYER_GAP,
    WHITE_LUMA,
    Nv12Image,
    RgbImage,
)

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
_LUMA_RANGE = WHITE_LUMA - BLACK_LUMA
_LUMA_PER_GREY = _LUMA_RANGE / 255


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
        if self.applies_to(avatar):
            label = _label(len(rgb))
            _mix(rgb, label.bottom, label.margin, label.keep[..., None], label.ink[..., None])

    def draw_nv12(self, avatar: AvatarInfo, nv12: Nv12Image, layered: bool = False) -> None:
        """Do what `draw` does, to a frame of video.

        Args:
            avatar: The avatar in the image.
            nv12: (3 H/2, W) uint8.
            layered: Whether the image holds colours and coverage, see `images.layered_rows`. The
                label then is part of both, so that it shows wherever the head is put.
        """
        if not self.applies_to(avatar):
            return
        height = len(nv12) * 2 // 3
        if layered:
            _draw_layered(nv12, height, _label(nv12.shape[1]))
            return
        label = _label(height)
        luma, chroma = nv12[:height], nv12[height:]
        _mix(luma, label.bottom, label.margin, label.keep, label.luma)
        _mix(chroma, label.bottom // 2, label.margin, label.chroma_keep, label.chroma)


class _Label(NamedTuple):
    """The label for images of one height: what they are multiplied with, and what is added.

    All of it times 256; even sizes and an even place, because video has half the resolution in
    colour.
    """

    margin: int
    """The first column."""
    bottom: int
    """The row after the last."""
    keep: NDArray[np.uint16]
    """(h, w) what colours and luma are multiplied with."""
    ink: NDArray[np.uint16]
    """(h, w) what is added to each colour."""
    luma: NDArray[np.uint16]
    """(h, w) what is added to luma."""
    chroma_keep: NDArray[np.uint16]
    """(h/2, w) what both chromas, by turns, are multiplied with."""
    chroma: NDArray[np.uint16]
    """(h/2, w) what is added to them."""


def _mix(
    image: NDArray[np.uint8],
    bottom: int,
    left: int,
    keep: NDArray[np.uint16],
    add: NDArray[np.uint16],
) -> None:
    """Mix a label into an image (H, W) or (H, W, 3), in place."""
    # An image smaller than the label shows the part that it has room for.
    area = image[bottom - len(keep) : bottom, left : left + keep.shape[1]]
    columns = area.shape[1]
    area[:] = (area * keep[:, :columns] + add[:, :columns]) >> 8


def _draw_layered(nv12: Nv12Image, height: int, label: _Label) -> None:
    """Draw a label into a layered frame with this many rows of luma, in place."""
    rows, columns = label.keep.shape
    across = slice(label.margin, label.margin + columns)
    below = nv12.shape[1] + LAYER_GAP
    luma = nv12[label.bottom - rows : label.bottom, across]
    chroma = nv12[height + (label.bottom - rows) // 2 : height + label.bottom // 2, across]
    mask = nv12[below + label.bottom - rows : below + label.bottom, across]
    columns = luma.shape[1]  # an image smaller than the label shows a part of it
    shares = (mask - np.float32(BLACK_LUMA)) / np.float32(_LUMA_RANGE)
    cover = np.asarray(np.clip(shares, 0, 1), np.float32)
    whole = _put_over(luma, cover, label.keep[:, :columns], label.luma[:, :columns])
    halves = cover.reshape(rows // 2, 2, columns // 2, 2).mean((1, 3), dtype=np.float32)
    _put_over(
        chroma, halves.repeat(2, 1), label.chroma_keep[:, :columns], label.chroma[:, :columns]
    )
    mask[:] = np.rint(BLACK_LUMA + _LUMA_RANGE * whole)


def _put_over(
    values: NDArray[np.uint8],
    cover: NDArray[np.float32],
    keep: NDArray[np.uint16],
    add: NDArray[np.uint16],
) -> NDArray[np.float32]:
    """Put a label over colours that are covered in part, in place; return what is covered then.

    Colours are not multiplied with their coverage, before and after: beside the head, where a
    frame's colours continue, the label alone counts.
    """
    left = cover * keep / 256
    covered = np.asarray(1 - keep / 256 + left, np.float32)
    mixed = (add / 256 + left * values) / np.maximum(covered, 1e-6)
    values[:] = np.where(keep < 256, np.rint(mixed), values)
    return covered


@lru_cache(maxsize=16)
def _label(height: int) -> _Label:
    """Draw the label for images of this height."""
    size = max(_SMALLEST_FONT, round(_TEXT_HEIGHT * height))
    font = ImageFont.load_default(size * _SUPERSAMPLING)
    left, top, right, bottom = font.getbbox(TEXT)
    pad = 0.45 * size * _SUPERSAMPLING
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
    margin = 2 * round(_MARGIN * height / 2)
    chroma_keep = 1 - alpha.reshape(h // 2, 2, w // 2, 2).mean((1, 3)).repeat(2, 1)
    keep = np.rint(256 * (1 - alpha)).astype(np.uint16)
    return _Label(
        margin=margin,
        bottom=height - margin,
        keep=keep,
        ink=np.floor(256 * ink).astype(np.uint16),
        luma=np.floor(BLACK_LUMA * (256 - keep) + _LUMA_PER_GREY * 256 * ink).astype(np.uint16),
        chroma_keep=np.rint(256 * chroma_keep).astype(np.uint16),
        chroma=GREY_CHROMA * (256 - np.rint(256 * chroma_keep)).astype(np.uint16),
    )
