"""The reference rasterizer in plain torch, with which the fast one is compared.

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

SUBPIXEL_BITS = 8  # as GPUs snap positions too
SUBPIXELS = 1 << SUBPIXEL_BITS
"""Screen positions are integers in units of 1/256 pixel."""
CENTRE = SUBPIXELS // 2
"""Offset of a pixel's centre from its corner, 1/256 pixels."""
LIMIT_PX = 1 << 20
"""Screen positions are clamped to this many pixels: products of two differences fit 64 bits."""


class Fragments(NamedTuple):
    """The visible triangle and depth at each pixel's centre."""

    triangle: NDArray[np.int32]
    """(H, W) index of the nearest triangle, -1 where none covers the pixel."""
    inverse_depth: NDArray[np.float32]
    """(H, W) 1/depth in 1/metres, 0 where no triangle covers the pixel."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) whether any triangle covers the pixel."""
        return self.triangle >= 0


def project(
    verts: FloatArray, state: FrameState, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Project vertices and snap them to 1/256 pixel.

    Args:
        verts: (V, 3) metres, world.
        state: Gives the camera.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        (V, 2) x and y in 1/256 pixels, and (V,) 1/depth in 1/metres, 0 for culled
        vertices.
    """
    screen = to_screen(verts.astype(np.float64), state, height, width)
    xy = np.floor(np.clip(screen[:, :2], -LIMIT_PX, LIMIT_PX) * SUBPIXELS + 0.5).astype(np.int64)
    return np.where(screen[:, 2:] > 0, xy, 0), screen[:, 2]


def rasterize(
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    height: int,
    width: int,
) -> Fragments:
    """Find the nearest triangle at each pixel's centre.

    Args:
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth; triangles with a corner at 0 are culled.
        faces: (F, 3), counter-clockwise seen from outside; back faces are culled.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        The fragments. 1/depth, which is linear on screen, decides: the larger wins, and of equals
        the lower triangle index.
    """
    corners = torch.from_numpy(xy)[torch.from_numpy(faces).long()]  # (F, 3, 2)
    inverse = torch.from_numpy(inverse_depth)[torch.from_numpy(faces).long()]  # (F, 3)
    index, px, py = _candidates(corners, inverse, height, width)
    x, y = px * SUBPIXELS + CENTRE, py * SUBPIXELS + CENTRE
    edges = _edge_functions(corners[index], x, y)  # (N, 3)
    inside = (edges >= _not_top_left(corners[index])).all(dim=1)
    index, px, py, edges = index[inside], px[inside], py[inside], edges[inside]
    # Summed in the order a, c, b as in rasterizer_numba, for the same rounding to the bit.
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
    """Compute perspective-correct barycentric weights of the visible triangles.

    Args:
        triangle: (H, W) visible triangles, -1 where there is none.
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth.
        faces: (F, 3) vertices of each triangle.

    Returns:
        (H, W, 3) weights of the corners, summing to 1; zero where there is no triangle.
    """
    height, width = triangle.shape
    weights = np.zeros((height, width, 3), np.float32)
    rows, columns = np.nonzero(triangle >= 0)
    corners = faces[triangle[rows, columns]]  # (N, 3)
    x, y = (torch.from_numpy(i * SUBPIXELS + CENTRE) for i in (columns, rows))
    edges = _edge_functions(torch.from_numpy(xy[corners]), x, y).numpy()
    weighted = edges * inverse_depth[corners]
    weights[rows, columns] = weighted / weighted.sum(axis=1, keepdims=True)
    return weights


def _candidates(
    corners: Tensor, inverse: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """List every (triangle, pixel x, pixel y) with its centre in a front face's bounding box."""
    a, b, c = corners.unbind(dim=1)
    # With y down, front faces are clockwise on screen: this is the doubled area of a, c, b.
    area = (b - a)[:, 1] * (c - a)[:, 0] - (b - a)[:, 0] * (c - a)[:, 1]
    size = torch.tensor([width, height])
    # The first and last pixel whose centre is inside, rounding up and down to whole pixels.
    low = ((corners.amin(dim=1) + CENTRE - 1) >> SUBPIXEL_BITS).clamp(min=0)
    high = torch.minimum((corners.amax(dim=1) - CENTRE) >> SUBPIXEL_BITS, size - 1)
    extent = (high - low + 1).clamp(min=0)
    # Back faces, and triangles that cross the near plane, which have no usable screen positions.
    extent[(area <= 0) | (inverse <= 0).any(dim=1)] = 0
    count = extent.prod(dim=1)
    index = torch.repeat_interleave(torch.arange(len(corners)), count)
    start = torch.repeat_interleave(count.cumsum(0) - count, count)
    offset = torch.arange(len(index)) - start
    columns = extent[index, 0]
    return index, low[index, 0] + offset % columns, low[index, 1] + offset // columns


def _edge_functions(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return (N, 3) doubled areas of the sub-triangles opposite a, b, c; all >= 0 inside."""
    d = corners - torch.stack([x, y], dim=1)[:, None]  # (N, 3, 2) from the pixel's centre
    a, b, c = d.unbind(dim=1)

    def doubled_area(p: Tensor, q: Tensor) -> Tensor:
        return p[:, 1] * q[:, 0] - p[:, 0] * q[:, 1]

    return torch.stack([doubled_area(b, c), doubled_area(c, a), doubled_area(a, b)], dim=1)


def _not_top_left(corners: Tensor) -> Tensor:
    """Return (N, 3): 1 for edges (opposite a, b, c) that do not own pixel centres on them."""
    a, b, c = corners.unbind(dim=1)
    # Clockwise on screen: the edges run c->b, a->c, b->a.
    edge = torch.stack([b - c, c - a, a - b], dim=1)
    top_left = (edge[..., 1] < 0) | ((edge[..., 1] == 0) & (edge[..., 0] > 0))
    return (~top_left).long()


def _nearest(index: Tensor, pixel: Tensor, near: Tensor, height: int, width: int) -> Fragments:
    """Keep of all fragments of a pixel the nearest, and of equals the lowest triangle index."""
    inverse = torch.zeros(height * width).scatter_reduce(0, pixel, near, "amax")
    wins = near == inverse[pixel]
    no_triangle = torch.iinfo(torch.int64).max
    triangle = torch.full((height * width,), no_triangle)
    triangle = triangle.scatter_reduce(0, pixel[wins], index[wins], "amin")
    triangle[triangle == no_triangle] = -1
    return Fragments(
        triangle.reshape(height, width).int().numpy(), inverse.reshape(height, width).numpy()
    )
