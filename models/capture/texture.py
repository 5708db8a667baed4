"""Unwraps the mean colour of a person's frames into the texture of the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.geometry.gbuffer import render_gbuffer
from models.geometry.head import Head
from models.heads.assembly import BOXES

Bytes = NDArray[np.uint8]

TEXTURE_SIZE = 512
"""Rows and columns of the paint of shipped avatars."""
_LEAST_FACING = 0.25
"""Cosine to the view direction below which a pixel is too slanted to take its colour."""
_COVERED = 250
"""Coverage (u8) from which on a pixel shows the person alone."""
_WELL = 0.2
"""Part of the median weight from which on a texel counts as well seen."""
_SPLATS = (-0.3, 0.3)
"""Offsets in texels at which a pixel is written, so that few texels are missed."""


class Unwrapped:
    """Collects colours per texel.

    Args:
        head: Head that the images show.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        self._sum = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE, 4))

    def add(self, state: FrameState, rgb: Bytes, coverage: Bytes) -> None:
        """Add a frame: its state, image (H, W, 3) and coverage (H, W)."""
        buffers = render_gbuffer(self._head, state, len(rgb))
        facing = buffers.surface[..., 7]
        use = (facing > _LEAST_FACING) & (coverage >= _COVERED)
        weight = facing[use] ** 2
        at = (buffers.uv[use] + 1) / 2 * TEXTURE_SIZE
        values = np.column_stack([rgb[use] / 255.0 * weight[:, None], weight])
        for dx in _SPLATS:
            for dy in _SPLATS:
                columns, rows = np.clip(at + np.array([dx, dy]), 0, TEXTURE_SIZE - 1).astype(int).T
                np.add.at(self._sum, (rows, columns), values)

    def seen(self) -> NDArray[np.bool_]:
        """Return (512, 512) which texels any frame showed."""
        return self._sum[..., 3] > 1e-6

    def well_seen(self) -> NDArray[np.bool_]:
        """Return (512, 512) which texels frames showed often and from the front.

        Others are seen at a slant alone, at the outline, where pixels hold some background too.
        """
        weight = self._sum[..., 3]
        usual = float(np.median(weight[self.seen()])) if self.seen().any() else 0.0
        return np.asarray(self.seen() & (weight >= _WELL * usual))

    def colours(self, otherwise: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return (512, 512, 3) colours in 0..1; unseen texels take those of their surroundings.

        Of the same part, as far as any of it was seen: the torso lies between hair and mouth in the
        texture, and its lower end would be black or brown.

        Args:
            otherwise: (512, 512, 3) colours of unseen texels, where not NaN.
        """
        total = self._sum.copy()
        if otherwise is not None:
            given = ~self.seen() & np.isfinite(otherwise[..., 0])
            total[given, :3], total[given, 3] = otherwise[given], 1.0
        colours = _fill(total)
        for box in BOXES.values():
            u, v, width, height = (round(value * TEXTURE_SIZE) for value in box)
            part = np.s_[v : v + height, u : u + width]
            own = np.zeros_like(total)
            own[part] = total[part]
            if own[..., 3].any():
                colours[part] = _fill(own)[part]
        return colours.astype(np.float32)


def _fill(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide sums by weights; texels without weight get the mean of the smallest block with any."""
    levels = [total]
    # Sums and weights add up over blocks, so that their ratio is the weighted mean of each.
    while len(levels[-1]) > 1:
        fine = levels[-1]
        levels.append(fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2])
    colours = _mean(levels[-1])
    for level in levels[-2::-1]:
        coarse = colours.repeat(2, axis=0).repeat(2, axis=1)
        colours = np.where(level[..., 3:] > 1e-6, _mean(level), coarse)
    return np.asarray(colours)


def _mean(total: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = total[..., :3] / np.maximum(total[..., 3:], 1e-9)
    return mean
