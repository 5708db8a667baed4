"""Triangles to pixels in plain torch: the definition that the fast rasterizers are compared with.

Every triangle's bounding box is expanded into candidate pixels, all of which are tested at once
with exact integer arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import to_screen


class Fragments(NamedTuple):
    """What each pixel's centre sees."""

    triangle: NDArray[np.int32]
    """(H, W) index of the nearest triangle, -1 where there is none."""
    inverse_depth: NDArray[np.float32]
    """(H, W) 1/depth in 1/metres, 0 where there is nothing."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) whether anything is seen."""
        return self.triangle >= 0


def project(
    verts: FloatArray, state: FrameState, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Snap projected vertices to 1/256 pixel.

    Args:
        verts: (V, 3) metres, world.
        state: Whose eye looks.
        height: Rows of the picture.
        width: Columns of the picture.

    Returns:
        (V, 2) x and y in 1/256 pixels, and (V,) 1/depth in 1/metres, 0 where not to be drawn.
    """
    screen = to_screen(verts.astype(np.float64), state, height, width)
    limit = 1 << 20
    xy = np.floor(np.clip(screen[:, :2], -limit, limit) * 256 + 0.5).astype(np.int64)
    return np.where(screen[:, 2:] > 0, xy, 0), screen[:, 2]


def rasterize(
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    height: int,
    width: int,
) -> Fragments:
    """Find which triangle each pixel's centre sees.

    Args:
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth; triangles with a corner at 0 are left out.
        faces: (F, 3), counter-clockwise seen from outside; the others are culled.
        height: Rows of the picture.
        width: Columns of the picture.

    Returns:
        The fragments. 1/depth is linear on screen; the larger wins, then the lower index.
    """
    corners = torch.from_numpy(xy)[torch.from_numpy(faces).long()]  # (F, 3, 2)
    inverse = torch.from_numpy(inverse_depth)[torch.from_numpy(faces).long()]  # (F, 3)
    index, px, py = _candidates(corners, inverse, height, width)
    edges = _edge_functions(corners[index], px * 256 + 128, py * 256 + 128)  # (N, 3)
    inside = (edges >= _not_top_left(corners[index])).all(dim=1)
    index, px, py, edges = index[inside], px[inside], py[inside], edges[inside]
    # Sum in the corners' order a, c, b: the order, hence the rounding, of the fast twin.
    w = inverse[index]
    weighted = edges[:, 0] * w[:, 0] + edges[:, 2] * w[:, 2] + edges[:, 1] * w[:, 1]
    near = (weighted / edges.sum(dim=1)).float()
    return _nearest(index, py * width + px, near, height, width)


def barycentrics(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Weigh the seen triangle's corners, perspective-correct.

    Returns:
        (H, W, 3), summing to 1; zero where nothing is seen.
    """
    height, width = triangle.shape
    weights = np.zeros((height, width, 3), np.float32)
    rows, columns = np.nonzero(triangle >= 0)
    seen = faces[triangle[rows, columns]]  # (N, 3)
    x, y = torch.from_numpy(columns * 256 + 128), torch.from_numpy(rows * 256 + 128)
    edges = _edge_functions(torch.from_numpy(xy[seen]), x, y).numpy()
    weighted = edges * inverse_depth[seen]
    weights[rows, columns] = weighted / weighted.sum(axis=1, keepdims=True)
    return weights


def _candidates(
    corners: Tensor, inverse: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Every (triangle, pixel x, pixel y) whose centre lies in the bounding box of a front face."""
    a, b, c = corners.unbind(dim=1)
    # On a screen whose y points down, front faces turn the other way round.
    area = (b - a)[:, 1] * (c - a)[:, 0] - (b - a)[:, 0] * (c - a)[:, 1]
    size = torch.tensor([width, height])
    low = ((corners.amin(dim=1) + 127) >> 8).clamp(min=0)
    high = torch.minimum((corners.amax(dim=1) - 128) >> 8, size - 1)
    extent = (high - low + 1).clamp(min=0)
    extent[(area <= 0) | (inverse <= 0).any(dim=1)] = 0
    count = extent.prod(dim=1)
    index = torch.repeat_interleave(torch.arange(len(corners)), count)
    start = torch.repeat_interleave(count.cumsum(0) - count, count)
    offset = torch.arange(len(index)) - start
    columns = extent[index, 0]
    return index, low[index, 0] + offset % columns, low[index, 1] + offset // columns


def _edge_functions(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(N, 3) doubled areas of the sub-triangles opposite corners a, b, c; all >= 0 inside."""
    d = corners - torch.stack([x, y], dim=1)[:, None]  # (N, 3, 2) from the pixel's centre
    a, b, c = d.unbind(dim=1)

    def doubled_area(p: Tensor, q: Tensor) -> Tensor:
        return p[:, 1] * q[:, 0] - p[:, 0] * q[:, 1]

    return torch.stack([doubled_area(b, c), doubled_area(c, a), doubled_area(a, b)], dim=1)


def _not_top_left(corners: Tensor) -> Tensor:
    """(N, 3) 1 for edges (opposite a, b, c) that do not own the pixel centres upon them."""
    a, b, c = corners.unbind(dim=1)
    # Clockwise on screen: the edges run c->b, a->c, b->a.
    edge = torch.stack([b - c, c - a, a - b], dim=1)
    top_left = (edge[..., 1] < 0) | ((edge[..., 1] == 0) & (edge[..., 0] > 0))
    return (~top_left).long()


def _nearest(index: Tensor, pixel: Tensor, near: Tensor, height: int, width: int) -> Fragments:
    inverse = torch.zeros(height * width).scatter_reduce(0, pixel, near, "amax")
    wins = near == inverse[pixel]
    nobody = torch.iinfo(torch.int64).max
    triangle = torch.full((height * width,), nobody)
    triangle = triangle.scatter_reduce(0, pixel[wins], index[wins], "amin")
    triangle[triangle == nobody] = -1
    return Fragments(
        triangle.reshape(height, width).int().numpy(), inverse.reshape(height, width).numpy()
    )
