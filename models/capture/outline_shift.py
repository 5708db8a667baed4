"""Moves the outline of the hair onto mattes, beyond the few parameters of the hull.

Where the outline of the mesh lies beside that of the matte, what is near this place moves in or out
along the direction from the skull. Frames differ: most of them shall lie within the mesh, because
the warp does not move pixels beside it, while texels of the mesh that show the background in some
frames learn to be transparent. What no frame shows as an outline stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.contract.frame_state import FrameState
from models.geometry import rasterizer_numba
from models.geometry.camera import focal_px
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.geometry.rasterizer import SUBPIXELS
from models.heads.meshes import Floats

Mask = NDArray[np.bool_]

_NEAR_PX = 1.5
"""Vertices this near to the outline of the mesh are on it."""
_SEARCHED_PX = 16
"""How far from the mesh the outline of the matte is searched."""
_STEP_PX = 0.5
_SMOOTH_PX = 1.5
"""Standard deviation of the blur that the direction of an outline is taken from."""
_SIGMA_M = 0.008
"""Standard deviation of the distances between vertices that move together."""
_NEIGHBOURS_M = 3 * _SIGMA_M
_HELD = 2.0
"""Weight of staying in place, against 1 of each frame that shows a vertex at the outline."""
WITHIN = 0.7
"""Share of the frames whose matte shall end within the mesh."""
_MARGIN_M = 0.001
"""Distance between the matte and the outline of the mesh: about a pixel of a frame of 320."""
_MOST_M = 0.03


class Reaches(NamedTuple):
    """How far the matte reaches beyond vertices on the outline of one frame's mesh."""

    vertices: NDArray[np.intp]
    """(n,) of the head."""
    metres: Floats
    """(n,) outwards; negative where the matte ends inside of the mesh."""


def outline_shift(
    head: Head, movable: Mask, states: Sequence[FrameState], mattes: Sequence[Mask]
) -> Floats:
    """Return how far vertices have to move outwards for most mattes to end within the mesh.

    Args:
        head: The head.
        movable: (V,) vertices that may move.
        states: States of the frames that are compared.
        mattes: (S, S) each: where the person covers these frames.

    Returns:
        (V,) metres away from the skull; 0 for other vertices.
    """
    found = [outline_reaches(head, movable, *frame) for frame in zip(states, mattes, strict=True)]
    vertices = np.concatenate([reaches.vertices for reaches in found])
    metres = np.concatenate([reaches.metres for reaches in found]) + _MARGIN_M
    shift = np.zeros(len(movable))
    moved = np.nonzero(movable)[0]
    if len(vertices) and len(moved):
        near = cKDTree(head.neutral[vertices]).query_ball_point(head.neutral[moved], _NEIGHBOURS_M)
        for vertex, samples in zip(moved, near, strict=True):
            apart = np.linalg.norm(head.neutral[vertices[samples]] - head.neutral[vertex], axis=1)
            weight = np.exp(-0.5 * (apart / _SIGMA_M) ** 2)
            share = weight.sum() / (weight.sum() + _HELD)
            shift[vertex] = share * _quantile(metres[samples], weight)
    return np.clip(shift, -_MOST_M, _MOST_M)


def _quantile(values: Floats, weights: Floats) -> float:
    """Return the value below which `WITHIN` of the weight lies; 0 of no values."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, WITHIN * reached[-1])]])


def outline_reaches(head: Head, movable: Mask, state: FrameState, matte: Mask) -> Reaches:
    """Measure one frame.

    Args:
        head: The head.
        movable: (V,) vertices that may move.
        state: State of the frame.
        matte: (S, S) where the person covers the frame.
    """
    size = len(matte)
    geometry = pose_geometry(head, state, size)
    mask = rasterizer_numba.rasterize(
        geometry.xy, geometry.inverse_depth, head.faces, size, size
    ).mask.astype(np.uint8)
    # Centres of pixels lie at .5 on screen.
    at = geometry.xy / SUBPIXELS - 0.5
    inside = movable & (at > _SEARCHED_PX).all(axis=1) & (at < size - 1 - _SEARCHED_PX).all(axis=1)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    vertices = np.nonzero(inside)[0]
    row, column = np.round(at[vertices]).astype(int).T[::-1]
    on_outline = (mask[row, column] > 0) & (distance[row, column] <= _NEAR_PX)
    vertices = vertices[on_outline]
    outwards = _outwards(mask)[row[on_outline], column[on_outline]]
    beyond = _reach_px(at[vertices], outwards, matte) - distance[row, column][on_outline] + 0.5
    metres_per_px = 1 / (focal_px(state.fov_y_rad, size) * geometry.inverse_depth[vertices])
    return Reaches(vertices, beyond * metres_per_px)


def _outwards(mask: NDArray[np.uint8]) -> Floats:
    """Return (S, S, 2) the unit directions (x, y) in which a mask falls off."""
    smooth = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), _SMOOTH_PX)
    downhill = -np.stack([np.gradient(smooth, axis=1), np.gradient(smooth, axis=0)], axis=-1)
    return np.asarray(downhill / np.maximum(np.linalg.norm(downhill, axis=-1, keepdims=True), 1e-9))


def _reach_px(at: Floats, outwards: Floats, matte: Mask) -> Floats:
    """Return (n,) how far from points (n, 2) a matte ends; negative against `outwards` (n, 2)."""
    steps = np.arange(0, _SEARCHED_PX, _STEP_PX)
    ends = []
    for direction in (outwards, -outwards):
        x, y = np.round(at[:, None] + direction[:, None] * steps[:, None]).astype(int).T
        ends.append(matte[y, x].T)
    covered, free = ends[0], ~ends[1]
    grown = np.logical_and.accumulate(covered, axis=1).sum(axis=1) * _STEP_PX
    shrunk = np.logical_and.accumulate(free, axis=1).sum(axis=1) * _STEP_PX
    # Outlines that the search does not find, as between ears and neck, move nothing.
    grown[covered.all(axis=1)], shrunk[free.all(axis=1)] = 0, 0
    return np.asarray(np.where(covered[:, 0], grown, -shrunk))
