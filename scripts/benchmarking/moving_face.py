"""Frames of a face that speaks to a viewer who sways, and where face and head are in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.manifest import Manifest
from models.contract.frame_state import FloatArray, FrameState, Rectangle
from models.contract.images import Nv12Image
from models.data.motion import FPS as RECORDED_FPS
from models.data.motion import read_recording
from models.geometry.head import Head
from models.geometry.rasterizer import SUBPIXELS, project
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import load_resized, swaying

_REFRESH_S = 0.2
"""Interval of caches, as a server on two cores has."""
_MOVED_M = 2e-3
"""Vertices that some coefficient moves further belong to the face."""
_MOVED_BY_BODY = 0.5
"""Vertices that follow the body with a larger weight do not belong to the head."""


class ShownFace(NamedTuple):
    """A frame, and where the person is in it."""

    state: FrameState
    nv12: Nv12Image
    """(3 H/2, W) uint8 frame."""
    face: Rectangle
    """What expressions move."""
    head: Rectangle
    """Face, hair and ears, without neck and clothes."""


def render_faces(
    avatar: Path, size: int, count: int, fps: int, recording: Path | None
) -> list[ShownFace]:
    """Render frames as a server does, with caches that are refreshed and crossfaded.

    Args:
        avatar: Avatar folder.
        size: Rows and columns.
        count: Number of frames.
        fps: Frames per second.
        recording: Face that speaks; None for the neutral one.
    """
    loaded = load_resized(avatar, size)
    renderer = CachedRenderer(loaded)
    face, head = _vertices(loaded.head)
    frames = []
    states = _states(loaded.manifest, count, fps, recording)
    for state, nv12 in zip(states, _warped(renderer, states, fps), strict=True):
        xy = project(loaded.head.pose(state), state, size, size)[0] / SUBPIXELS
        frames.append(ShownFace(state, nv12, _around(xy[face], size), _around(xy[head], size)))
    return frames


def _states(manifest: Manifest, count: int, fps: int, recording: Path | None) -> list[FrameState]:
    """Return the states of `count` frames."""
    states = [swaying(manifest, index / fps) for index in range(count)]
    if recording is None:
        return states
    rows = read_recording(recording, manifest.expression_names)
    return [
        replace(state, expression=_row_at(rows, index * RECORDED_FPS / fps))
        for index, state in enumerate(states)
    ]


def _row_at(rows: FloatArray, at: float) -> FloatArray:
    """Interpolate the rows of a recording, which repeats from its end."""
    before, share = divmod(at % (len(rows) - 1), 1)
    first, second = rows[int(before)], rows[int(before) + 1]
    return np.asarray(first + np.float32(share) * (second - first), np.float32)


def _warped(renderer: CachedRenderer, states: list[FrameState], fps: int) -> Iterator[Nv12Image]:
    """Yield the frame of each state, from caches whose states are up to two intervals old."""
    interval = round(_REFRESH_S * fps)
    newest, fade = renderer.allocate_cache(), renderer.crossfade()
    for index, state in enumerate(states):
        generation = index // interval
        if index % interval == 0:
            renderer.refresh(states[max(generation - 1, 0) * interval], newest)
        with torch.inference_mode():
            blended = fade.follow(newest, generation, index / fps)
        yield renderer.warp_nv12(state, blended).nv12


def _vertices(head: Head) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which vertices belong to the face, and which to the head; (V,) each."""
    moves = np.linalg.norm(head.deltas.reshape(len(head.deltas), -1, 3), axis=2).max(axis=0)
    on_head = head.weights[:, 0] < _MOVED_BY_BODY
    return on_head & (moves > _MOVED_M), on_head


def _around(points: NDArray[np.float64], size: int) -> Rectangle:
    """Return the rectangle around points (N, 2), within the image."""
    left, top = np.floor(points.min(axis=0)).clip(0, size).astype(int).tolist()
    right, bottom = np.ceil(points.max(axis=0)).clip(0, size).astype(int).tolist()
    return Rectangle(top, left, bottom, right)
