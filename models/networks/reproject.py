"""Reprojects features from the frame they were computed for to a later frame.

The flow is exact and not estimated, because the mesh of both frames is known. Pixels off the head
get the flow of the nearest pixel on the head in their row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.geometry.surface_points import MIN_DEPTH_M


class Mesh(NamedTuple):
    """The surface points of a batch of frames, see `geometry/surface_points.py`."""

    corners: Tensor
    """(B, h, w, 3) int32 vertices of the visible triangles."""
    weights: Tensor
    """(B, h, w, 3) barycentric weights of the corners; 0 off the head."""
    points: Tensor
    """(B, V, 3) vertices on screen in the whole image, as `screen_points` returns them."""
    origin: Tensor
    """(B, 2) x, y of the window's top left corner in the whole image, at half resolution."""


def find_source_positions(now: Mesh, points: Tensor, origin: Tensor) -> Tensor:
    """Find where each pixel's surface point was in an older frame.

    Args:
        now: Surface points of the current frame.
        points: (B, V, 3) vertices on screen in the older frame.
        origin: (B, 2) of the older frame's window.

    Returns:
        (B, h, w, 2) x, y in the older window, pixels; the centre of its first pixel is (0.5, 0.5).
    """
    covered = now.weights.sum(dim=3) > 0.5
    # Both by the same weights, so that their rounding cancels where nothing has moved.
    flow = _project(now, points) - _project(now, now.points)
    # Barycentric weights are 0 off the head, where both projections are meaningless.
    flow = torch.where(covered[..., None], flow, 0)
    return own_source_positions(now, origin) + _extend(flow, covered)


def own_source_positions(now: Mesh, origin: Tensor) -> Tensor:
    """Return the source positions for a flow of zero.

    Args:
        now: Surface points of the current frame.
        origin: (B, 2) of the older frame's window.

    Returns:
        (B, h, w, 2) as `find_source_positions`.
    """
    height, width = now.weights.shape[1:3]
    x = torch.arange(width, device=origin.device) + 0.5
    y = torch.arange(height, device=origin.device) + 0.5
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return pixels + (now.origin - origin)[:, None, None]


def reproject_nearest(features: Tensor, positions: Tensor) -> Tensor:
    """Sample the nearest pixels, clamped to the image.

    For features whose values must not be averaged across edges of the surface.

    Args:
        features: (B, C, h', w') of the older frame.
        positions: (B, h, w, 2) source positions, pixels.

    Returns:
        (B, C, h, w).
    """
    batch, channels, height, width = features.shape
    x = positions[..., 0].floor().long().clamp(0, width - 1)
    y = positions[..., 1].floor().long().clamp(0, height - 1)
    index = (y * width + x).reshape(batch, 1, -1).expand(-1, channels, -1)
    return features.flatten(2).gather(2, index).reshape(batch, channels, *positions.shape[1:3])


def reproject_bilinear(features: Tensor, positions: Tensor) -> Tensor:
    """Sample bilinearly, clamped to the image.

    Args:
        features: (B, C, h', w') of the older frame.
        positions: (B, h, w, 2) source positions, pixels.

    Returns:
        (B, C, h, w).
    """
    height, width = features.shape[2:]
    size = torch.tensor([width, height], device=positions.device)
    # -1 and 1 are the outer edges of the image (`align_corners=False`).
    grid = (positions * 2 / size - 1).to(features.dtype)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)


def _project(now: Mesh, points: Tensor) -> Tensor:
    """Return (B, h, w, 2): where the current frame's surface points are for `points` (B, V, 3)."""
    batch = len(points)
    index = now.corners.reshape(batch, -1, 1).long().expand(-1, -1, 3)
    corners = points.gather(1, index).reshape(*now.corners.shape, 3)
    point = (now.weights[..., None] * corners).sum(dim=3)
    return point[..., :2] / point[..., 2:].clamp(min=MIN_DEPTH_M)


def _extend(flow: Tensor, covered: Tensor) -> Tensor:
    """Extend the flow to pixels off the head.

    They get the flow of the nearest covered pixel in their row; rows without one, the flow of the
    nearest row that has one.

    Args:
        flow: (B, h, w, 2) pixels.
        covered: (B, h, w) bool.
    """
    column = _nearest(covered, dim=2)
    flow = flow.gather(2, column[..., None].expand(-1, -1, -1, 2))
    row = _nearest(covered.any(dim=2, keepdim=True), dim=1).expand(-1, -1, covered.shape[2])
    return flow.gather(1, row[..., None].expand(-1, -1, -1, 2))


def _nearest(covered: Tensor, dim: int) -> Tensor:
    """Find the nearest covered element along a dimension.

    Args:
        covered: (B, h, w) bool.
        dim: 1 or 2.

    Returns:
        (B, h, w) its index, of two at the same distance the lower; its own where there is none.
    """
    shape = [1, 1, 1]
    shape[dim] = covered.shape[dim]
    index = (
        torch.arange(covered.shape[dim], device=covered.device).reshape(shape).expand_as(covered)
    )
    # Beyond the image: a neighbour that does not exist is never the nearer one.
    far = 2 * covered.shape[dim]
    before = torch.where(covered, index, -far).cummax(dim).values
    after = torch.where(covered, index, 2 * far).flip(dim).cummin(dim).values.flip(dim)
    nearest = torch.where(index - before <= after - index, before, after)
    return torch.where((nearest >= 0) & (nearest < covered.shape[dim]), nearest, index)
