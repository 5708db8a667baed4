"""Render a dataset: sequences of a moving head, with ground truth from the studio renderer.

    .venv/bin/python scripts/make_dataset.py --out data/default \
        --recording ../shared/data/streams/llf_alex_rom_3.csv

Renders about 5000 images of 384x384 pixels, in ten minutes on two cores. Without `--recording` all
expressions are random. The first 70 % of the recording are used for the split train, the next 10 %
for val, the last 20 % for test.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from models.contract.frame_state import FloatArray, FrameState
from models.data.dataset import (
    SPLITS,
    VERSION,
    DatasetError,
    DatasetInfo,
    SplitReader,
    create_split,
    file_sha256,
    write_frame,
)
from models.data.motion import FPS, RecordingError, read_recording
from models.data.sequences import plan_sequences
from models.geometry.head import HeadError
from models.geometry.head_file import load_head
from models.studio.appearance import load_appearance
from models.studio.studio import Studio, load_studio, make_background

_SHEET_COLUMNS = 8
_SHEET_ROWS = {"train": 4, "val": 1, "test": 1}
"""Rows of the contact sheet that show each split."""


@dataclass(frozen=True)
class Arguments:
    """Render a dataset."""

    out: Path
    """New folder for the dataset."""
    recording: Path | None = None
    """CSV or JSON for most expressions; other rates than 30 rows/s become 30 frames/s."""
    head: Path = Path("models/avatars/default/head.npz")
    """Head to render, with its appearance."""
    size: int = 384
    """Rows and columns of the images."""
    train: int = 175
    """Sequences to train on."""
    val: int = 10
    """Sequences to select the best avatar on."""
    test: int = 20
    """Sequences to evaluate on; they use the recording only."""
    length: int = 24
    """Frames per sequence, at 30 frames/s."""
    workers: int = 2
    """Render processes."""
    seed: int = 1
    """Seed of all motion."""
    contact_sheet: Path | None = None
    """File for an image of many frames."""


@cache
def _studio(head: Path, size: int) -> Studio:
    """Return the studio of this process, which is loaded once."""
    return load_studio(head, size)


def render_sequence(
    head: Path, size: int, folder: Path, first: int, states: list[FrameState]
) -> int:
    """Render the frames of one sequence into the folder of a split; runs in a worker."""
    studio = _studio(head, size)
    for offset, state in enumerate(states):
        image = studio.render(state)
        write_frame(folder, first + offset, image.rgb, image.mask)
    return len(states)


def make_dataset(arguments: Arguments) -> None:
    """Plan and render the dataset, and write its description.

    Raises:
        DatasetError: If the folder is not empty, or the recording is too short.
    """
    if arguments.out.exists() and any(arguments.out.iterdir()):
        raise DatasetError(f"{arguments.out} exists already; remove it or choose another")
    head = load_head(arguments.head)
    recording = None
    if arguments.recording is None:
        print("No --recording: all expressions are random.")
    else:
        name = arguments.recording.name
        recording = read_recording(
            arguments.recording,
            head.expression_names,
            lambda note: print(f"make_dataset: {name}: {note}", file=sys.stderr),
        )
        # The part of `val`, a tenth of the recording, must be longer than a sequence.
        if len(recording) * 0.1 <= arguments.length:
            raise DatasetError(
                f"{arguments.recording}: expected more than {arguments.length * 10} frames, "
                f"got {len(recording)}"
            )
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.save(
        arguments.out / "background.npy",
        make_background(arguments.size, load_appearance(arguments.head)),
    )
    counts = _render_splits(arguments, recording)
    with np.load(arguments.head) as file:
        x, y, z = file["eye_position"].tolist()
        fov_y_rad = float(file["fov_y_rad"])
    # Written last, so that a folder with a description is complete.
    DatasetInfo(
        version=VERSION,
        size=arguments.size,
        fps=FPS,
        seed=arguments.seed,
        head_sha256=file_sha256(arguments.head),
        expression_names=head.expression_names,
        eye_position=(x, y, z),
        fov_y_rad=fov_y_rad,
        recorded=recording is not None,
        counts=counts,
    ).write(arguments.out)


def _render_splits(arguments: Arguments, recording: FloatArray | None) -> dict[str, int]:
    plans = {
        split: plan_sequences(
            arguments.head,
            split,
            getattr(arguments, split),
            arguments.length,
            arguments.seed,
            recording,
        )
        for split in SPLITS
    }
    for split, sequences in plans.items():
        create_split(arguments.out / split, sequences, arguments.size)
    counts = {split: sum(map(len, sequences)) for split, sequences in plans.items()}
    with (
        _executor(arguments.workers) as pool,
        tqdm(total=sum(counts.values()), unit="frame") as bar,
    ):
        jobs = [
            pool.submit(
                render_sequence,
                arguments.head,
                arguments.size,
                arguments.out / split,
                number * arguments.length,
                states,
            )
            for split, sequences in plans.items()
            for number, states in enumerate(sequences)
        ]
        for job in jobs:
            bar.update(job.result())
    return counts


def _executor(workers: int) -> Executor:
    """Return the executor that renders sequences; one worker is a thread, to import torch once."""
    if workers == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def contact_sheet(folder: Path) -> Image.Image:
    """Return an image of frames spread over all splits of a dataset."""
    return Image.fromarray(np.concatenate(list(_sheet_rows(folder))))


def _sheet_rows(folder: Path) -> Iterator[NDArray[np.uint8]]:
    for split, row_count in _SHEET_ROWS.items():
        frames = SplitReader(folder, split)
        chosen = np.linspace(0, len(frames) - 1, row_count * _SHEET_COLUMNS).astype(int)
        images = [frames.frame(int(index))[1][::2, ::2] for index in chosen]
        for row in range(row_count):
            yield np.concatenate(images[row * _SHEET_COLUMNS : (row + 1) * _SHEET_COLUMNS], axis=1)


def main() -> None:
    """Render the dataset of the command line."""
    arguments = tyro.cli(Arguments)
    try:
        make_dataset(arguments)
    except (DatasetError, RecordingError, HeadError) as exc:
        sys.exit(f"make_dataset: {exc}")
    if arguments.contact_sheet is not None:
        contact_sheet(arguments.out).save(arguments.contact_sheet)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
