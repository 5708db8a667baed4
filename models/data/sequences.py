"""Choose the sequences of a dataset: the motion of the head and of the viewer in each split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.random import Generator

from models.contract.frame_state import FloatArray, FrameState
from models.data.dataset import SPLITS
from models.data.motion import Expressions, Motion
from models.geometry.head_file import load_head

_KIND_SHARES = {"recorded": 0.6, "random": 0.25, "calm": 0.15}
"""Share of each kind of expressions in the splits train and val."""
SHARES = {"train": (0.0, 0.7), "val": (0.7, 0.8), "test": (0.8, 1.0)}
"""Part of the recording that each split uses, from and to, as shares of its duration."""


def plan_sequences(
    head_file: Path,
    split: str,
    count: int,
    length: int,
    seed: int,
    recording: FloatArray | None,
) -> list[list[FrameState]]:
    """Return the states of all sequences of a split.

    Args:
        head_file: Head that moves.
        split: Name of the split.
        count: Number of sequences.
        length: Frames per sequence.
        seed: Seed of all motion; each split has its own motion.
        recording: (rows, E) recorded coefficients, or None for random ones only.
    """
    head = load_head(head_file)
    with np.load(head_file) as file:
        motion = Motion(head.neck, file["eye_position"], float(file["fov_y_rad"]))
    expressions = Expressions(head.expression_names)
    # A generator for each split: the number of sequences of one does not change the others.
    random = np.random.default_rng([seed, SPLITS.index(split)])
    if recording is not None:
        first, last = (int(share * len(recording)) for share in SHARES[split])
        recording = recording[first:last]
    sequences = []
    for number in range(count):
        kind = "recorded" if split == "test" else _kind(random)
        if kind == "recorded" and recording is not None:
            start = _start(random, split, number, count, len(recording) - length)
            values = recording[start : start + length]
        else:
            make = expressions.calm if kind == "calm" else expressions.random
            values = make(random, length)
        sequences.append(motion.sequence(random, values))
    return sequences


def _kind(random: Generator) -> str:
    kinds = list(_KIND_SHARES)
    return str(random.choice(kinds, p=list(_KIND_SHARES.values())))


def _start(random: Generator, split: str, number: int, count: int, last: int) -> int:
    """Return the first row of a sequence: random, but evenly spread over the test split."""
    return int(number * last / count) if split == "test" else int(random.integers(last + 1))
