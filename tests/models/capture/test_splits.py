"""Dividing the frames of a video into splits."""

from __future__ import annotations

import numpy as np

from models.capture.splits import SHORTEST_SEQUENCE, divide, runs


def test_the_end_of_a_video_is_the_test_split() -> None:
    splits = divide(np.ones(1000, bool))
    assert splits["test"] == [list(range(800, 1000))]
    assert divide(np.ones(4000, bool))["test"] == [list(range(3650, 4000))]


def test_no_frame_is_in_two_splits() -> None:
    usable = np.ones(900, bool)
    usable[300:340] = False
    splits = divide(usable)
    frames = [n for sequences in splits.values() for sequence in sequences for n in sequence]
    assert len(frames) == len(set(frames))
    assert all(usable[frames])
    assert sum(map(len, splits["val"])) >= 30
    trained = {n for sequence in splits["train"] for n in sequence}
    # Neighbouring frames are nearly equal.
    for sequence in splits["val"]:
        assert not {sequence[0] - 1, sequence[-1] + 1} & trained


def test_runs_too_short_for_pairs_are_left_out() -> None:
    usable = np.ones(100, bool)
    usable[40:50] = False
    usable[50 + SHORTEST_SEQUENCE - 1] = False
    assert runs(usable) == [list(range(40)), list(range(62, 100))]
