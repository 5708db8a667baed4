"""Write and read datasets of rendered heads. `motion` makes the states, `studio` the images.

    DIR/dataset.json              version, size, fps, seed, counts, the head file's hash
    DIR/background.npy            (H, W, 3) u8, sRGB
    DIR/<split>/rgb.npy           (N, H, W, 3) u8, composited on the background
    DIR/<split>/mask.npy          (N, H, W) u8, coverage
    DIR/<split>/weight.npy        (N, H, W) u8, optional: weight of each pixel in the loss, in units
                                  of 1/`WEIGHT_UNIT`
    DIR/<split>/states.npz        the fields of `FrameState`, stacked; `sequence` (N,), `step` (N,)

Frames of a sequence are stored one after the other, 1/fps apart. Images are memory-mapped: any
number of processes may read them, each only the pages it uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState

Bytes = NDArray[np.uint8]
States = Sequence[FrameState]

VERSION = 1
SPLITS = ("train", "val", "test")
WEIGHT_UNIT = 64
"""Value of a pixel that counts once, in the file of weights."""

_FIELDS = ("head_rotation", "head_translation", "expression", "eye_rotation", "eye_position")


class DatasetError(ValueError):
    """A dataset folder is missing, incomplete, or would be overwritten."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Contents of `dataset.json`."""

    version: int
    size: int
    """Rows and columns of the images."""
    fps: int
    seed: int
    head_sha256: str
    """SHA-256 of the head file that the images show, hex."""
    expression_names: tuple[str, ...]
    eye_position: tuple[float, float, float]
    """Eye of the default view, metres."""
    fov_y_rad: float
    """Vertical field of view of all images."""
    recorded: bool
    """Whether a recording drove part of the expressions."""
    counts: dict[str, int]
    """Frames in each split."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and check `folder/dataset.json`.

        Raises:
            DatasetError: If the file is missing, unreadable or of another version.
        """
        path = folder / "dataset.json"
        try:
            values = json.loads(path.read_text())
            tuples = {key: tuple(values[key]) for key in ("expression_names", "eye_position")}
            info = cls(**{**values, **tuples})
        except (OSError, ValueError, TypeError, KeyError) as exc:
            raise DatasetError(f"{path} is not a dataset's description: {exc}") from exc
        if info.version != VERSION:
            raise DatasetError(f"{path}: version must be {VERSION}, got {info.version}")
        return info

    def write(self, folder: Path) -> None:
        """Write `folder/dataset.json`."""
        (folder / "dataset.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    return sha256(path.read_bytes()).hexdigest()


def create_split(
    folder: Path, sequences: Sequence[States], size: int, *, weighted: bool = False
) -> None:
    """Create a split on disk: write all states and allocate the arrays of images.

    Args:
        folder: `DIR/<split>`, which must not exist yet.
        sequences: States of the frames of each sequence.
        size: Rows and columns of the images.
        weighted: Whether the split has weights of pixels too.

    Raises:
        DatasetError: If the folder exists.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as exc:
        raise DatasetError(f"{folder} exists already; remove it or choose another") from exc
    states = [state for sequence in sequences for state in sequence]
    fields = {name: np.stack([getattr(state, name) for state in states]) for name in _FIELDS}
    fields["fov_y_rad"] = np.array([state.fov_y_rad for state in states], np.float32)
    lengths = [len(sequence) for sequence in sequences]
    fields["sequence"] = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    fields["step"] = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])
    np.savez(folder / "states.npz", allow_pickle=False, **fields)
    # Allocated at full size, so that worker processes can write frames in any order.
    shapes: dict[str, tuple[int, ...]] = {"rgb": (size, size, 3), "mask": (size, size)}
    if weighted:
        shapes["weight"] = (size, size)
    for name, shape in shapes.items():
        np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(states), *shape)
        ).flush()


def write_frame(
    folder: Path, index: int, rgb: Bytes, mask: Bytes, weight: Bytes | None = None
) -> None:
    """Write the image and mask of one frame. Processes may write different frames at once.

    Args:
        folder: `DIR/<split>` as `create_split` made it.
        index: Index of the frame in the split.
        rgb: (H, W, 3) u8, sRGB.
        mask: (H, W) coverage, u8.
        weight: (H, W) u8, of a split with weights.
    """
    images = {"rgb": rgb, "mask": mask} | ({} if weight is None else {"weight": weight})
    for name, image in images.items():
        stored = np.load(folder / f"{name}.npy", mmap_mode="r+")
        stored[index] = image


class SplitReader:
    """Reads states and images of one split.

    Args:
        folder: Folder of the dataset.
        split: One of `SPLITS`.

    Raises:
        DatasetError: If the folder holds no complete dataset with that split.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.info = DatasetInfo.read(folder)
        if split not in self.info.counts:
            raise DatasetError(f"split must be one of {tuple(self.info.counts)}, got {split!r}")
        self.size = self.info.size
        self.eye_position = self.info.eye_position
        self.fov_y_rad = self.info.fov_y_rad
        try:
            self.background: Bytes = np.load(folder / "background.npy")
            self._rgb = np.load(folder / split / "rgb.npy", mmap_mode="r")
            self._mask = np.load(folder / split / "mask.npy", mmap_mode="r")
            weights = folder / split / "weight.npy"
            self._weight = np.load(weights, mmap_mode="r") if weights.exists() else None
            with np.load(folder / split / "states.npz", allow_pickle=False) as file:
                self._states = {name: file[name] for name in file.files}
        except (OSError, ValueError) as exc:
            raise DatasetError(f"{folder} holds no complete split {split!r}: {exc}") from exc
        frames, size = self.info.counts[split], self.info.size
        expected = (frames, size, size)
        if self._rgb.shape != (*expected, 3) or self._mask.shape != expected:
            raise DatasetError(
                f"{folder}/{split}: images must be {expected}, got {self._mask.shape}"
            )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._mask)

    def frame(self, index: int) -> tuple[FrameState, Bytes, Bytes]:
        """Read one frame.

        Returns:
            State, image (H, W, 3) u8 and coverage (H, W) u8.
        """
        # Copies: a view would keep reading the memory map after this call.
        return self.state(index), np.array(self._rgb[index]), np.array(self._mask[index])

    def state(self, index: int) -> FrameState:
        """Return the state of one frame, without reading its image."""
        fields = {name: self._states[name][index] for name in _FIELDS}
        return FrameState(**fields, fov_y_rad=float(self._states["fov_y_rad"][index]))

    @property
    def weights(self) -> Callable[[int], Bytes] | None:
        """Reads the weights (H, W) u8 of a frame by its index; None for a split without."""
        stored = self._weight
        return None if stored is None else lambda index: np.array(stored[index])

    def older(self, index: int, age: int) -> int:
        """Return the index `age` frames before `index`, at least the first of its sequence."""
        return index - min(age, int(self._states["step"][index]))

    def sequence(self, index: int) -> int:
        """Return the number of the sequence that a frame belongs to."""
        return int(self._states["sequence"][index])

    def pairs(self, age: int) -> NDArray[np.int64]:
        """Return the pairs of frames `age` apart within a sequence: (P, 2) older, newer index."""
        # `step` counts from the start of a sequence, so these frames have `age` predecessors.
        newer = np.nonzero(self._states["step"] >= age)[0]
        return np.stack([newer - age, newer], axis=1)
