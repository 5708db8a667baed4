"""Finds frames in which hands or other things cover the body.

Skin and clothes have nearly the same colour in all frames: pixels of the body that differ much from
the unwrapped mean are occluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from models.capture.texture import TEXTURE_SIZE, Unwrapped
from models.contract.frame_state import FrameState
from models.geometry import rasterizer_numba
from models.geometry.gbuffer import pose_geometry, render_gbuffer
from models.geometry.head import Head
from models.studio.materials import CLOTH, HAIR, SKIN

Bytes = NDArray[np.uint8]

_FACING = 0.3
"""Cosine to the view direction below which colours are not compared."""
_DIFFERENT = 25.0
"""Mean difference of the channels, in levels, of something else; shading changes less."""
_BLUR_PX = 2.0
_MOST_SHARE = 0.03
"""Share of the body's pixels that may differ beyond what is usual in the video."""


class Occluders:
    """Compares frames with the mean colour of the body.

    Args:
        head: The head.
        materials: (F,) of its triangles.
        unwrapped: Mean colours.
    """

    def __init__(self, head: Head, materials: NDArray[np.uint8], unwrapped: Unwrapped) -> None:
        self._head, self._materials = head, materials
        self._colours = unwrapped.colours() * 255

    def free_of_hands(
        self,
        frames: Iterator[tuple[FrameState, Bytes, Bytes]],
        advance: Callable[[], None],
    ) -> NDArray[np.bool_]:
        """Return (n,) which frames show the body alone, calling `advance` after each."""
        shares = []
        for state, rgb, coverage in frames:
            shares.append(self.share(state, rgb, coverage))
            advance()
        values = np.array(shares)
        clear: NDArray[np.bool_] = values < np.median(values) + _MOST_SHARE
        return clear

    def share(self, state: FrameState, rgb: Bytes, coverage: Bytes) -> float:
        """Return the share of the body's pixels that differ from its mean colour."""
        size = len(rgb)
        geometry = pose_geometry(self._head, state, size)
        triangle = rasterizer_numba.rasterize(
            geometry.xy, geometry.inverse_depth, self._head.faces, size, size
        ).triangle
        buffers = render_gbuffer(self._head, state, size)
        body = (triangle >= 0) & np.isin(
            self._materials[np.maximum(triangle, 0)], (SKIN, HAIR, CLOTH)
        )
        body &= (buffers.surface[..., 7] > _FACING) & (coverage > 250)
        texel = np.clip((buffers.uv + 1) / 2 * TEXTURE_SIZE, 0, TEXTURE_SIZE - 1).astype(int)
        usual = self._colours[texel[..., 1], texel[..., 0]].astype(np.float32)
        apart = np.abs(rgb.astype(np.float32) - usual).mean(axis=2)
        smooth = np.asarray(cv2.GaussianBlur(np.where(body, apart, 0), (0, 0), _BLUR_PX))
        return float((smooth[body] > _DIFFERENT).mean()) if body.any() else 0.0
