"""Draws the training pictures: sequences of a moving head, in the studio.

    .venv/bin/python scripts/make_dataset.py --out data/default \
        --recording ../shared/data/streams/llf_alex_rom_3.csv

About 5000 pictures of 384x384, ten minutes on two cores. Without `--recording` all expressions are
made up. The recording's first 70 % go into train, the next 10 % into val, the last 20 % into test.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import tyro
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from models.contract.frame_state import FloatArray, FrameState
from models.data.dataset import (
    SPLITS,
    VERSION,
    DatasetError,
    DatasetInfo,
    Sequences,
    create_split,
    file_sha256,
    write_frame,
)
from models.data.motion import FPS, Expressions, Motion, RecordingError, read_recording
from models.geometry.head import HeadError, load_head
from models.studio.appearance import load_appearance
from models.studio.studio import Studio, load_studio, make_background

SHARES = {"train": (0.0, 0.7), "val": (0.7, 0.8), "test": (0.8, 1.0)}
"""Of the recording's time."""


@dataclass(frozen=True)
class Arguments:
    """Draw a dataset."""

    out: Path
    """New folder for the dataset."""
    recording: Path | None = None
    """Live Link Face CSV that drives most expressions."""
    head: Path = Path("models/avatars/default/head.npz")
    size: int = 384
    """Rows and columns of the pictures."""
    train: int = 175
    """Sequences to learn from."""
    val: int = 10
    """Sequences to choose the best checkpoint by."""
    test: int = 20
    """Sequences to measure on; driven by the recording alone."""
    length: int = 24
    """Frames in a sequence, 30 a second."""
    workers: int = 2
    seed: int = 1
    contact_sheet: Path | None = None
    """Also write a picture of many frames here."""


def plan(arguments: Arguments, split: str, recording: FloatArray | None) -> list[list[FrameState]]:
    """The states of all sequences of a split."""
    head = load_head(arguments.head)
    with np.load(arguments.head) as file:
        motion = Motion(head.neck, file["eye_position"], float(file["fov_y_rad"]))
    expressions = Expressions(head.expression_names)
    random = np.random.default_rng([arguments.seed, SPLITS.index(split)])
    if recording is not None:
        first, last = (int(share * len(recording)) for share in SHARES[split])
        recording = recording[first:last]
    sequences = []
    count = getattr(arguments, split)
    for number in range(count):
        kind = "recorded" if split == "test" else _kind(random)
        if kind == "recorded" and recording is not None:
            start = _start(random, split, number, count, len(recording) - arguments.length)
            values = recording[start : start + arguments.length]
        else:
            make = expressions.calm if kind == "calm" else expressions.random
            values = make(random, arguments.length)
        sequences.append(motion.sequence(random, values))
    return sequences


def _kind(random: Generator) -> str:
    return str(random.choice(["recorded", "random", "calm"], p=[0.6, 0.25, 0.15]))


def _start(random: Generator, split: str, number: int, count: int, last: int) -> int:
    """First row of a window: anywhere, but spread evenly where it is measured."""
    return int(number * last / count) if split == "test" else int(random.integers(last + 1))


@cache
def _studio(head: Path, size: int) -> Studio:
    """One studio per process."""
    return load_studio(head, size)


def draw_sequence(head: Path, size: int, folder: Path, first: int, states: list[FrameState]) -> int:
    """Draw the frames of one sequence into a split's folder; runs in a worker."""
    studio = _studio(head, size)
    for offset, state in enumerate(states):
        picture = studio.render(state)
        write_frame(folder, first + offset, picture.rgb, picture.mask)
    return len(states)


def make_dataset(arguments: Arguments) -> None:
    """Plan, draw and describe the dataset.

    Raises:
        DatasetError: If the folder is there already, or the recording is too short.
    """
    if arguments.out.exists() and any(arguments.out.iterdir()):
        raise DatasetError(f"{arguments.out} exists already; remove it or choose another")
    head = load_head(arguments.head)
    recording = None
    if arguments.recording is None:
        print("No --recording: all expressions are made up.")
    else:
        recording = read_recording(arguments.recording, head.expression_names)
        if len(recording) * 0.1 <= arguments.length:
            raise DatasetError(f"{arguments.recording} is too short: {len(recording)} rows")
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.save(
        arguments.out / "background.npy",
        make_background(arguments.size, load_appearance(arguments.head)),
    )
    counts = _draw_splits(arguments, recording)
    with np.load(arguments.head) as file:
        x, y, z = file["eye_position"].tolist()
        fov_y_rad = float(file["fov_y_rad"])
    # Last, so that a folder with a description is complete.
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


def _draw_splits(arguments: Arguments, recording: FloatArray | None) -> dict[str, int]:
    plans = {split: plan(arguments, split, recording) for split in SPLITS}
    for split, sequences in plans.items():
        create_split(arguments.out / split, sequences, arguments.size)
    counts = {split: sum(map(len, sequences)) for split, sequences in plans.items()}
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(arguments.workers, mp_context=spawn) as pool,
        tqdm(total=sum(counts.values()), unit="frame") as bar,
    ):
        jobs = [
            pool.submit(
                draw_sequence,
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


def contact_sheet(folder: Path, columns: int = 8, rows: int = 6) -> Image.Image:
    """Frames from all over the dataset on one picture."""
    return Image.fromarray(np.concatenate(list(_sheet_rows(folder, columns, rows))))


def _sheet_rows(folder: Path, columns: int, rows: int) -> Iterator[NDArray[np.uint8]]:
    per_split = {"train": rows - 2, "val": 1, "test": 1}
    for split, lines in per_split.items():
        frames = Sequences(folder, split)
        chosen = np.linspace(0, len(frames) - 1, lines * columns).astype(int)
        pictures = [frames.frame(int(index))[1][::2, ::2] for index in chosen]
        for line in range(lines):
            yield np.concatenate(pictures[line * columns : (line + 1) * columns], axis=1)


def main() -> None:
    """Draw the dataset named on the command line."""
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
