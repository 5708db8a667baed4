"""Aliasing of edges: an avatar's images against ground truth with many samples per pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from models.avatar.folder import SHIPPED
from models.contract.frame_state import FrameState
from models.data.motion import read_recording
from models.data.samples import image_tensor
from models.data.sequences import plan_sequences
from models.evaluation.flicker import interpolate_halfway
from models.geometry.head import Head
from models.geometry.rasterizer_numba import project, rasterize
from models.metrics.edges import edge_crawl, edge_steps
from models.metrics.image_quality import psnr
from models.runtime.renderer import CachedRenderer
from models.studio.studio import Studio, load_studio
from scripts.benchmarking.avatars import load_resized

_HALVINGS = 3
"""The second of two frames is 1/2^3 of a frame interval later, so that edges move by less than a
pixel."""
_SEQUENCE_FRAMES, _SEED = 24, 1
"""Length and seed of the sequences, as `scripts/make_dataset.py` has them by default."""
_LEAST_STEP_M = 0.006
"""Step of depth at an inner edge: the lip before the teeth; folds of skin are below it."""
_SUBPIXELS = 4
"""Samples along each side of a pixel to find edges with."""
_REACH_PX = 2
"""Pixels on each side of an edge that count as its own."""


@dataclass(frozen=True)
class Edges:
    """Displacement of outlines and inner edges in pixels, still and moving."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder; its head file must have an appearance, for the ground truth."""
    size: int = 320
    """Rows and columns of the images."""
    frames: int = 12
    """Number of held-out frames."""
    age: int = 2
    """Age of the cache of a warp, in frames at 30 frames/s."""
    samples: int = 4
    """Samples of the ground truth along each side of a pixel."""
    recording: Path | None = None
    """Live Link Face CSV for the expressions; without one they are random."""


class Moment(NamedTuple):
    """A held-out frame, the next one an eighth of a frame later, and the state of the cache."""

    state: FrameState
    next_state: FrameState
    cached: FrameState


def edges(command: Edges) -> dict[str, Any]:
    """Run the benchmark.

    Returns:
        For the full render and the warp: root mean square displacements in pixels of outlines and
        inner edges, `still` and what changes between two frames (`moving`), and PSNR in dB.
    """
    torch.set_num_threads(1)
    avatar = load_resized(command.avatar, command.size)
    renderer = CachedRenderer(avatar, "cpu", 1)
    studio = load_studio(command.avatar / "head.npz", command.size, command.samples)
    rows: dict[str, list[list[float]]] = {"full": [], "warp": []}
    for moment in tqdm(
        _moments(command, avatar.manifest.expression_names), desc="edges", leave=False
    ):
        truths = _rendered(studio, moment)
        kinds = edge_kinds(avatar.head, moment.state, command.size)
        for name, images in _images(renderer, moment).items():
            rows[name].append(_measure(images, truths, kinds))
    return {
        "size": command.size,
        "frames": command.frames,
        "age": command.age,
        **{name: _summary(values) for name, values in rows.items()},
    }


def edge_kinds(head: Head, state: FrameState, size: int) -> tuple[Tensor, Tensor]:
    """Find the pixels around outlines and around inner edges.

    Args:
        head: The head.
        state: Its state.
        size: Rows and columns of the image.

    Returns:
        Outlines and inner edges, (1, 1, size, size) of 0 and 1 each; no pixel is in both.
    """
    samples = size * _SUBPIXELS
    posed = np.ascontiguousarray(head.pose(state), np.float32)
    xy, inverse = project(posed, state, samples, samples)
    fragments = rasterize(xy, inverse, head.faces, samples, samples)
    covered = fragments.triangle >= 0
    depth = np.where(covered, 1 / np.where(covered, fragments.inverse_depth, 1), 0)
    outline, inner = np.zeros_like(covered), np.zeros_like(covered)
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        ends = covered[first] != covered[second]
        steps = covered[first] & covered[second]
        steps &= np.abs(depth[first] - depth[second]) > _LEAST_STEP_M
        for side in (first, second):
            outline[side] |= ends
            inner[side] |= steps
    around = _around(outline)
    return around, _around(inner) * (1 - around)


def _around(samples: NDArray[np.bool_]) -> Tensor:
    """Return the pixels within reach of marked samples."""
    pixels = F.max_pool2d(torch.from_numpy(samples).float()[None, None], _SUBPIXELS)
    return F.max_pool2d(pixels, 2 * _REACH_PX + 1, 1, _REACH_PX)


def _moments(command: Edges, names: Sequence[str]) -> list[Moment]:
    head = command.avatar / "head.npz"
    recording = None
    if command.recording is not None:
        recording = read_recording(command.recording, names)
    middle = _SEQUENCE_FRAMES // 2
    moments = []
    for states in plan_sequences(head, "test", command.frames, _SEQUENCE_FRAMES, _SEED, recording):
        state, later = states[middle], states[middle + 1]
        for _ in range(_HALVINGS):
            later = interpolate_halfway(state, later)
        moments.append(Moment(state, later, states[middle - command.age]))
    return moments


def _rendered(studio: Studio, moment: Moment) -> tuple[Tensor, Tensor]:
    """Return the ground truth of both frames."""
    first, second = moment.state, moment.next_state
    return image_tensor(studio.render(first).rgb), image_tensor(studio.render(second).rgb)


def _images(renderer: CachedRenderer, moment: Moment) -> dict[str, tuple[Tensor, Tensor]]:
    """Return both frames as the full render and as the warp give them."""
    first, second = moment.state, moment.next_state
    cache = renderer.allocate_cache()
    renderer.refresh(moment.cached, cache)
    warped = [renderer.warp(state, cache).rgb for state in (first, second)]
    return {
        "full": (image_tensor(renderer.full(first)), image_tensor(renderer.full(second))),
        "warp": (image_tensor(warped[0]), image_tensor(warped[1])),
    }


def _measure(
    images: tuple[Tensor, Tensor], truths: tuple[Tensor, Tensor], kinds: tuple[Tensor, Tensor]
) -> list[float]:
    """Return steps and jumps of outlines, the same of inner edges, and PSNR."""
    values = []
    for where in kinds:
        values += [edge_steps(images[0], truths[0], where), edge_crawl(images, truths, where)]
    return [float(value) for value in (*values, psnr(images[0], truths[0]))]


def _summary(rows: list[list[float]]) -> dict[str, Any]:
    outline, outline_moving, inner, inner_moving, quality = np.mean(rows, axis=0).tolist()
    return {
        "outlines_px": {"still": round(outline, 3), "moving": round(outline_moving, 3)},
        "inner_edges_px": {"still": round(inner, 3), "moving": round(inner_moving, 3)},
        "psnr_db": round(quality, 2),
    }
