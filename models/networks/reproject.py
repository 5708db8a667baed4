"""Carries features from the frame they were made for to where their surface points are now.

The flow is not estimated: the mesh of both frames is known. Beside the head, and where it hides
nothing but background, features move like the nearest point of the head in their row.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Mesh(NamedTuple):
    """A batch of frames' surface points, see `geometry.surface_points`."""

    corners: Tensor
    """(B, h, w, 3) int32 vertices of the triangles seen."""
    weights: Tensor
    """(B, h, w, 3) of the corners; 0 where no head is seen."""
    points: Tensor
    """(B, V, 3) where the vertices are, in the whole picture."""
    origin: Tensor
    """(B, 2) x, y of the window's top left corner in the whole picture, at half resolution."""


def find_source_positions(now: Mesh, points: Tensor, origin: Tensor) -> Tensor:
    """Where each pixel's surface point was in an older frame.

    Args:
        now: The frame that shows it.
        points: (B, V, 3) of the older frame.
        origin: (B, 2) of the older frame's window.

    Returns:
        (B, h, w, 2) x, y in the older window, pixels; the centre of its first pixel is (0.5, 0.5).
    """
    shown = now.weights.sum(dim=3) > 0.5
    moved = _seen_at(now, points) - _seen_at(now, now.points)
    spread = torch.where(shown[..., None], moved, 0)
    return own_source_positions(now, origin) + _spread(spread, shown)


def own_source_positions(now: Mesh, origin: Tensor) -> Tensor:
    """`find_source_positions` where nothing moves."""
    height, width = now.weights.shape[1:3]
    x = torch.arange(width, device=origin.device) + 0.5
    y = torch.arange(height, device=origin.device) + 0.5
    pixels = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return pixels + (now.origin - origin)[:, None, None]


def reproject_nearest(features: Tensor, places: Tensor) -> Tensor:
    """(B, C, h, w): (B, C, h', w') features of the pixels at (B, h, w, 2) places, or the nearest
    inside."""
    batch, channels, height, width = features.shape
    x = places[..., 0].floor().long().clamp(0, width - 1)
    y = places[..., 1].floor().long().clamp(0, height - 1)
    index = (y * width + x).reshape(batch, 1, -1).expand(-1, channels, -1)
    return features.flatten(2).gather(2, index).reshape(batch, channels, *places.shape[1:3])


def reproject_bilinear(features: Tensor, places: Tensor) -> Tensor:
    """(B, C, h, w): (B, C, h', w') features at (B, h, w, 2) places, between pixels bilinearly."""
    height, width = features.shape[2:]
    size = torch.tensor([width, height], device=places.device)
    grid = (places * 2 / size - 1).to(features.dtype)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)


def _seen_at(now: Mesh, points: Tensor) -> Tensor:
    """(B, h, w, 2): where the surface points seen now are in the whole picture of a frame."""
    batch = len(points)
    index = now.corners.reshape(batch, -1, 1).long().expand(-1, -1, 3)
    corners = points.gather(1, index).reshape(*now.corners.shape, 3)
    point = (now.weights[..., None] * corners).sum(dim=3)
    return point[..., :2] / point[..., 2:].clamp(min=1e-6)


def _spread(moved: Tensor, shown: Tensor) -> Tensor:
    """Give pixels that show no head the motion of the nearest in their row that does; in rows
    without any, that of the nearest row with some."""
    width, height = shown.shape[2], shown.shape[1]
    column = _nearest(shown, dim=2)
    moved = moved.gather(2, column[..., None].expand(-1, -1, -1, 2))
    row = _nearest(shown.any(dim=2, keepdim=True), dim=1).expand(-1, -1, width)
    assert row.shape[1] == height
    return moved.gather(1, row[..., None].expand(-1, -1, -1, 2))


def _nearest(shown: Tensor, dim: int) -> Tensor:
    """(B, h, w) index along `dim` of the nearest that is shown, of two the lower; itself where none
    is."""
    shape = [1, 1, 1]
    shape[dim] = shown.shape[dim]
    index = torch.arange(shown.shape[dim], device=shown.device).reshape(shape).expand_as(shown)
    far = 2 * shown.shape[dim]
    before = torch.where(shown, index, -far).cummax(dim).values
    after = torch.where(shown, index, 2 * far).flip(dim).cummin(dim).values.flip(dim)
    nearest = torch.where(index - before <= after - index, before, after)
    return torch.where((nearest >= 0) & (nearest < shown.shape[dim]), nearest, index)
