"""Writing and reading datasets; broken datasets are refused with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.contract.frame_state import FrameState, neutral_state
from models.data.dataset import (
    VERSION,
    DatasetError,
    DatasetInfo,
    SplitReader,
    create_split,
    write_frame,
)

SIZE = 8
LENGTHS = (3, 2)


def numbered_state(number: int) -> FrameState:
    """Return a state that differs for each number."""
    state = neutral_state(2, (0.0, 0.0, 0.8), 0.5)
    translation = np.array([number, 0, 0], np.float32)
    return replace(state, head_translation=translation)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of two sequences; frame i's image is filled with i."""
    numbers = iter(range(sum(LENGTHS)))
    sequences = [[numbered_state(next(numbers)) for _ in range(length)] for length in LENGTHS]
    create_split(tmp_path / "train", sequences, SIZE)
    for index in range(sum(LENGTHS)):
        image = np.full((SIZE, SIZE, 3), index, np.uint8)
        write_frame(tmp_path / "train", index, image, image[..., 0] + 100)
    np.save(tmp_path / "background.npy", np.full((SIZE, SIZE, 3), 7, np.uint8))
    DatasetInfo(
        version=VERSION,
        size=SIZE,
        fps=30,
        seed=1,
        head_sha256="0" * 64,
        expression_names=("a", "b"),
        eye_position=(0.0, 0.0, 0.8),
        fov_y_rad=0.5,
        recorded=False,
        counts={"train": sum(LENGTHS)},
    ).write(tmp_path)
    return tmp_path


def test_frames_are_read_as_they_were_written(folder: Path) -> None:
    frames = SplitReader(folder, "train")
    state, rgb, mask = frames.frame(3)
    assert len(frames) == 5
    assert state.head_translation.tolist() == [3, 0, 0]
    assert state.fov_y_rad == 0.5
    assert (rgb == 3).all()
    assert (mask == 103).all()
    assert (frames.background == 7).all()
    assert (frames.size, frames.eye_position, frames.fov_y_rad) == (SIZE, (0.0, 0.0, 0.8), 0.5)


def test_weights_of_pixels_are_read_if_present(folder: Path) -> None:
    assert SplitReader(folder, "train").weights is None
    create_split(folder / "val", [[numbered_state(0), numbered_state(1)]], SIZE, weighted=True)
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    for index in range(2):
        write_frame(folder / "val", index, image, image[..., 0], image[..., 0] + 64 * index)
    replace(DatasetInfo.read(folder), counts={"val": 2}).write(folder)
    weights = SplitReader(folder, "val").weights
    assert weights is not None
    assert [int(weights(index).mean()) for index in range(2)] == [0, 64]


def test_an_older_frame_stays_in_its_sequence(folder: Path) -> None:
    frames = SplitReader(folder, "train")
    assert [frames.older(2, age) for age in (0, 1, 2, 9)] == [2, 1, 0, 0]
    assert [frames.older(4, age) for age in (1, 2)] == [3, 3]
    assert [frames.sequence(index) for index in range(5)] == [0, 0, 0, 1, 1]


def test_pairs_never_cross_sequences(folder: Path) -> None:
    frames = SplitReader(folder, "train")
    assert frames.pairs(1).tolist() == [[0, 1], [1, 2], [3, 4]]
    assert frames.pairs(2).tolist() == [[0, 2]]


def test_an_existing_split_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(DatasetError, match="exists already"):
        create_split(folder / "train", [[numbered_state(0)]], SIZE)


def test_an_unfinished_dataset_is_refused(folder: Path) -> None:
    (folder / "dataset.json").unlink()
    with pytest.raises(DatasetError, match=r"dataset\.json is not a dataset's description"):
        SplitReader(folder, "train")


def test_an_unknown_split_is_reported(folder: Path) -> None:
    with pytest.raises(DatasetError, match="got 'test'"):
        SplitReader(folder, "test")


def test_images_of_another_size_are_refused(folder: Path) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "size": SIZE * 2}))
    with pytest.raises(DatasetError, match=r"must be \(5, 16, 16\), got \(5, 8, 8\)"):
        SplitReader(folder, "train")


def test_another_version_is_refused(folder: Path) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": VERSION + 1}))
    with pytest.raises(DatasetError, match=f"version must be {VERSION}, got {VERSION + 1}"):
        DatasetInfo.read(folder)
