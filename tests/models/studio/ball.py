"""Frames of a lit, chequered ball that turns: a minimal dataset for training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState, neutral_state
from models.data.dataset import VERSION, DatasetInfo, create_split, file_sha256, write_frame
from models.geometry.gbuffer import render_gbuffer
from models.geometry.head import Head
from tests.models.conftest import write_head

SIZE = 64
FRAMES = 12


class Ball:
    """12 frames of one sequence."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self.background: NDArray[np.uint8] = np.full((SIZE, SIZE, 3), 30, np.uint8)

    def __len__(self) -> int:
        return FRAMES

    def frame(self, index: int) -> tuple[FrameState, NDArray[np.uint8], NDArray[np.uint8]]:
        half = 0.05 * index
        rotation = np.array([0, np.sin(half), 0, np.cos(half)], np.float32)
        state = replace(neutral_state(4, (0, 0, 0.8), 0.35), head_rotation=rotation)
        buffers = render_gbuffer(self._head, state, SIZE)
        squares = (np.floor(buffers.uv * 6).astype(int).sum(axis=-1, keepdims=True) % 2) * 0.4 + 0.5
        lit = squares * np.array([1, 0.7, 0.5]) * (0.6 + 0.4 * buffers.surface[..., 2:3])
        mask = np.any(buffers.surface[..., 1:4] != 0, axis=-1, keepdims=True)
        rgb = mask * lit * 255 + (1 - mask) * self.background
        return state, rgb.astype(np.uint8), (mask[..., 0] * 255).astype(np.uint8)

    def older(self, index: int, age: int) -> int:
        return max(0, index - age)


def write_ball(head: Head, folder: Path) -> None:
    """Write a dataset of the ball, `folder/data`, and its head, `folder/head.npz`."""
    write_head(head, folder / "head.npz")
    frames, data = Ball(head), folder / "data"
    samples = [frames.frame(index) for index in range(len(frames))]
    for split in ("train", "val", "test"):
        create_split(data / split, [[state for state, _, _ in samples]], SIZE)
        for index, (_, rgb, mask) in enumerate(samples):
            write_frame(data / split, index, rgb, mask)
    np.save(data / "background.npy", frames.background)
    DatasetInfo(
        version=VERSION,
        size=SIZE,
        fps=30,
        seed=0,
        head_sha256=file_sha256(folder / "head.npz"),
        expression_names=head.expression_names,
        eye_position=(0.0, 0.0, 0.8),
        fov_y_rad=0.35,
        recorded=False,
        counts=dict.fromkeys(("train", "val", "test"), len(frames)),
    ).write(data)
