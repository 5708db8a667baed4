"""Moves the torso in a frame, and the neck with it, while the head stays as it is.

Each pixel follows the body as far as its vertices do (`Head.weights`). The background plate appears
where the torso moves away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from models.contract.frame_state import FrameState
from models.geometry import rasterizer_numba
from models.geometry.gbuffer import Geometry, pose_geometry
from models.geometry.head import Head
from models.heads.meshes import Floats

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_HEAD = 0.1
"""Share up to which a pixel belongs to the head."""
_UNSURE = 0.015
"""Width of the edge of a frame, in units of its side, that is not moved into the image: some videos
have lines there."""
_STILL_PX = 0.5
"""Pixels that move by less are taken as they are."""
_SOFT_PX = 2.0
"""Standard deviation by which the share is smoothed between neck and clothes."""


class StabilizedFrame(NamedTuple):
    """A frame with a moved torso."""

    rgb: Bytes
    """(H, W, 3) uint8 image."""
    coverage: Bytes
    """(H, W) uint8 coverage of the person."""
    known: Mask
    """(H, W) False for pixels without a source in the frame: outside of the image, or behind the
    head."""


@dataclass(frozen=True)
class TorsoMotion:
    """How the torso moves against the mesh in each frame."""

    maps: Floats
    """(N, 3, 3) from the position of the torso on the mesh to that in the frame, in units of the
    image's side; identity where it was not found."""

    @classmethod
    def none(cls, count: int) -> Self:
        """Return no motion, for all frames."""
        return cls(np.tile(np.eye(3), (count, 1, 1)))

    def stabilized(
        self, head: Head, state: FrameState, number: int, frame: tuple[Bytes, Bytes], plate: Bytes
    ) -> StabilizedFrame:
        """Return a frame with its torso moved.

        Args:
            head: The head.
            state: State of the frame.
            number: Index of the frame, 0..N - 1.
            frame: Image (H, W, 3) and coverage (H, W) of the frame.
            plate: (H, W, 3) the background, which appears where the torso moves away.
        """
        rgb, coverage = frame
        size = len(rgb)
        if np.array_equal(self.maps[number], np.eye(3)):
            return StabilizedFrame(rgb, coverage, np.ones((size, size), bool))
        share = body_share(head, pose_geometry(head, state, size), size)
        amount = _spread(share, size)
        x, y = _sources(for_pixels(self.maps[number], size), amount)
        moved, moved_rgb, moved_plate = (_sample(image, x, y) for image in (coverage, rgb, plate))
        bare = (1 - moved / np.float32(255))[..., None] * (plate.astype(np.float32) - moved_plate)
        known = _is_shown(x, y, size) | (moved == 0)  # where no person is, the plate is known
        column, row = (np.clip(np.rint(at), 0, size - 1).astype(int) for at in (x, y))
        # False off the mesh: there the matte decides.
        behind = (share <= _HEAD)[row, column] & (amount > _HEAD)
        filled = np.clip(moved_rgb + bare + 0.5, 0, 255).astype(np.uint8)
        return StabilizedFrame(filled, moved, known & ~behind)


def body_share(head: Head, geometry: Geometry, size: int) -> Floats:
    """Return (size, size) how far each pixel moves with the body, 0..1; NaN off the mesh."""
    xy, depth = geometry.xy, geometry.inverse_depth
    triangle = rasterizer_numba.rasterize(xy, depth, head.faces, size, size).triangle
    weights = rasterizer_numba.barycentrics(triangle, xy, depth, head.faces)
    share = np.einsum("ijk,ijk->ij", weights, head.weights[:, 0][head.faces[triangle]])
    return np.where(triangle >= 0, share.astype(np.float64), np.nan)


def for_pixels(matrix: Floats, size: int) -> Floats:
    """Return a map of positions as one of OpenCV's pixels, whose centres are whole numbers."""
    scale = np.array([[size, 0, -0.5], [0, size, -0.5], [0, 0, 1]])
    return np.asarray(scale @ matrix @ np.linalg.inv(scale))


def _spread(share: Floats, size: int) -> Floats:
    """Return (size, size) the share of all pixels: off the mesh that of the nearest one on it."""
    # Every other pixel: it is smooth where it matters, and this takes most of the time.
    few = share[::2, ::2]
    off = np.isnan(few)
    if off.all():
        return np.zeros((size, size))
    nearest = distance_transform_edt(off, return_distances=False, return_indices=True)
    soft = gaussian_filter(few[tuple(nearest)], _SOFT_PX / 2)
    full = cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR)
    # The head itself stays as it is.
    return np.where(share <= 0, 0.0, np.asarray(full, np.float64))


def _sources(matrix: Floats, amount: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y (H, W) of the pixels that a share of a map (3, 3) moves to each pixel."""
    rows, columns = np.mgrid[: len(amount), : len(amount)].astype(np.float32)
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2] - columns
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2] - rows
    return (columns + amount * x).astype(np.float32), (rows + amount * y).astype(np.float32)


def _is_shown(x: NDArray[np.float32], y: NDArray[np.float32], size: int) -> Mask:
    """Return (H, W) whether pixels x, y lie well within the image, or hardly move."""
    room = _UNSURE * size
    inside = (np.minimum(x, y) >= room) & (np.maximum(x, y) <= size - 1 - room)
    rows, columns = np.mgrid[:size, :size]
    return np.asarray(inside | (np.maximum(np.abs(x - columns), np.abs(y - rows)) < _STILL_PX))


def _sample(image: Bytes, x: NDArray[np.float32], y: NDArray[np.float32]) -> Bytes:
    """Return an image sampled at pixels x, y (H, W)."""
    sampled = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.uint8)
