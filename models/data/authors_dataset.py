"""The authors' data sets: footage whose frames hold ready what networks see.

    DIR/SPLIT.h5         larger_image (N, 3, H, W); grid (N, H, W, 2): UV maps, NaN where there is
                         no face; bbox_center (N, 2), bbox_size (N,): the picture's square in the
                         video, pixels; extrinsics (N, 3): weak-perspective camera
    DIR/SPLIT-masks.h5   mask (N, H, W)
    DIR/SPLIT-pose.h5    pose (N, 1, 6): turn of head and jaw, rotation vectors
    DIR/SPLIT-exp.h5     exp (N, 1, 50)
    DIR/median_background.jpg   the video's background, whole

SPLIT is train, validation or test. The frames of a split are one sequence. Pictures and masks go up
to 1, or to 255. Files are opened for each read, so that any number of threads may take frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from models.data.dataset import DatasetError
from models.data.samples import Sample, Truth, image_tensor
from models.geometry.gbuffer import Window
from models.networks.avatar_networks import FLAME_CONDITIONING_SIZE
from models.networks.frame_batch import FrameBatch
from models.networks.generator import STRIDE

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_FILES = {
    "larger_image": ".h5",
    "grid": ".h5",
    "bbox_center": ".h5",
    "bbox_size": ".h5",
    "extrinsics": ".h5",
    "mask": "-masks.h5",
    "pose": "-pose.h5",
    "exp": "-exp.h5",
}
"""Which file each array is in."""


class Statistics(NamedTuple):
    """What a data set's numbers are standardised by: pose 6, camera 3, expression 50."""

    mean: Floats
    """(59,)"""
    deviation: Floats
    """(59,), above 0."""


class AuthorsSplit:
    """One split, whole in memory but for its pictures.

    Args:
        folder: The data set's.
        split: `train`, `validation` or `test`.

    Raises:
        DatasetError: If a file or an array is missing, broken, or of another shape.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        shapes = {name: _shape(self._path(name), name) for name in _FILES}
        _check_shapes(folder / split, shapes)
        self._frames, _, self.size, _ = shapes["larger_image"]
        self.numbers = self._read_numbers()
        self._centres = self._read("bbox_center").astype(np.float64)
        self._sides = self._read("bbox_size").astype(np.float64).reshape(-1)
        self._video_background = _read_background(folder / "median_background.jpg")
        self._white = {name: _white(self._read(name, 0)) for name in ("larger_image", "mask")}

    @property
    def background(self) -> Bytes:
        """(H, W, 3) behind the first frame."""
        return self._background(0)

    @property
    def statistics(self) -> Statistics:
        """Of this split's numbers."""
        deviation = self.numbers.std(axis=0)
        # A number that never changes says nothing; it must not become infinite.
        return Statistics(self.numbers.mean(axis=0), np.where(deviation > 1e-8, deviation, 1))

    def __len__(self) -> int:
        return self._frames

    def older(self, index: int, age: int) -> int:
        """The frame `age` before, or the first."""
        return max(index - age, 0)

    def take(self, index: int) -> AuthorsFrame:
        """Read a frame's mask; the rest when it is asked for."""
        return AuthorsFrame(self, index)

    def mask(self, index: int) -> Bytes:
        """(H, W) coverage."""
        mask = self._read("mask", index) / self._white["mask"]
        return np.clip(mask * 255 + 0.5, 0, 255).astype(np.uint8)

    def example(self, index: int, window: Window, mask: Bytes) -> Sample:
        """A window of a frame (B = 1)."""
        rows = slice(window.top, window.top + window.height)
        columns = slice(window.left, window.left + window.width)
        picture = self._read("larger_image", np.s_[index, :, rows, columns])
        uv = np.nan_to_num(self._read("grid", np.s_[index, rows, columns]), nan=0.0)
        frame = FrameBatch(
            torch.from_numpy(np.clip(uv, -1, 1).astype(np.float32))[None],
            torch.zeros(1, 0, window.height, window.width),  # no normals; none are asked for
            torch.from_numpy(self.numbers[index])[None],
        )
        rgb = (picture / self._white["larger_image"]).astype(np.float32)
        coverage = mask[rows, columns].astype(np.float32) / 255
        background = image_tensor(self._background(index)[rows, columns])
        truth = Truth(
            torch.from_numpy(rgb)[None], torch.from_numpy(coverage)[None, None], background
        )
        return Sample(frame, truth)

    def _background(self, index: int) -> Bytes:
        """(H, W, 3) the video's background where the frame's picture was cut out."""
        side = self._sides[index]
        left, top = self._centres[index].astype(int) - side / 2
        step = side / (self.size - 1)
        # Pillow counts from a pixel's corner, the authors from its middle.
        offset = 0.5 - step / 2
        matrix = (step, 0, left + offset, 0, step, top + offset)
        cut = self._video_background.transform(
            (self.size, self.size),
            Image.Transform.AFFINE,
            matrix,
            resample=Image.Resampling.BILINEAR,
        )
        return np.array(cut)

    def _read_numbers(self) -> Floats:
        """(N, 59) pose, camera, expression."""
        parts = [self._read(name) for name in ("pose", "extrinsics", "exp")]
        numbers = np.concatenate([p.reshape(self._frames, -1) for p in parts], axis=1)
        if not np.isfinite(numbers).all():
            raise DatasetError(f"{self._folder}/{self._split}: pose, extrinsics or exp hold NaN")
        assert numbers.shape[1] == FLAME_CONDITIONING_SIZE
        return numbers.astype(np.float32)

    def _read(self, name: str, index: Any = ()) -> NDArray[Any]:
        with h5py.File(self._path(name)) as file:
            return np.asarray(file[name][index])

    def _path(self, name: str) -> Path:
        return self._folder / f"{self._split}{_FILES[name]}"


class AuthorsFrame:
    """One frame.

    Args:
        footage: Whose.
        index: Which.
    """

    def __init__(self, footage: AuthorsSplit, index: int) -> None:
        self.mask = footage.mask(index)
        self._footage, self._index = footage, index

    def example(self, window: Window | None = None) -> Sample:
        """The frame (B = 1) or a window of it."""
        size = len(self.mask)
        whole = Window(0, 0, size, size)
        return self._footage.example(self._index, window or whole, self.mask)


def read_statistics(path: Path) -> Statistics:
    """Those of a data set's training split, or those that an `.npz` holds by their names.

    Raises:
        DatasetError: If there are none, or they do not fit.
    """
    if path.is_dir():
        return AuthorsSplit(path, "train").statistics
    try:
        with np.load(path, allow_pickle=False) as file:
            given = Statistics(*(file[name].astype(np.float32) for name in Statistics._fields))
    except (OSError, ValueError, KeyError) as exc:
        raise DatasetError(f"{path} holds no mean and deviation: {exc}") from exc
    for name, values in given._asdict().items():
        if values.shape != (FLAME_CONDITIONING_SIZE,) or not np.isfinite(values).all():
            raise DatasetError(
                f"{path}: {name} must be {FLAME_CONDITIONING_SIZE} finite numbers, "
                f"got {values.shape}"
            )
    if (given.deviation <= 0).any():
        raise DatasetError(f"{path}: deviation must be above 0, got {given.deviation.min()}")
    return given


def validation_split(folder: Path) -> str:
    """What a data set's held-out split is called.

    Raises:
        DatasetError: If there is none.
    """
    for split in ("validation", "val", "test"):
        if (folder / f"{split}.h5").exists():
            return split
    raise DatasetError(f"{folder} must hold validation.h5, val.h5 or test.h5, got none")


def _shape(path: Path, name: str) -> tuple[int, ...]:
    try:
        with h5py.File(path) as file:
            dataset = file.get(name)
            if not isinstance(dataset, h5py.Dataset):
                raise DatasetError(f"{path} lacks {name}, got {', '.join(file) or 'nothing'}")
            return tuple(dataset.shape)
    except OSError as exc:
        raise DatasetError(f"{path} is not a readable HDF5 file: {exc}") from exc


def _check_shapes(split: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    frames, size = shapes["larger_image"][0], shapes["larger_image"][-1]
    expected: dict[str, tuple[tuple[int, ...], ...]] = {
        "larger_image": ((frames, 3, size, size),),
        "grid": ((frames, size, size, 2),),
        "bbox_center": ((frames, 2),),
        "bbox_size": ((frames,), (frames, 1)),
        "extrinsics": ((frames, 3),),
        "mask": ((frames, size, size),),
        "pose": ((frames, 1, 6), (frames, 6)),
        "exp": ((frames, 1, 50), (frames, 50)),
    }
    for name, allowed in expected.items():
        if shapes[name] not in allowed:
            raise DatasetError(
                f"{split}{_FILES[name]}: {name} must be {allowed[0]}, got {shapes[name]}"
            )
    if frames == 0 or size % STRIDE:
        raise DatasetError(f"{split}.h5: pictures must be a multiple of {STRIDE}, got {size}")


def _read_background(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, UnidentifiedImageError) as exc:
        raise DatasetError(f"{path} is not a readable picture: {exc}") from exc


def _white(values: NDArray[Any]) -> float:
    """What stands for white, or for covered."""
    return 255.0 if values.max(initial=0) > 1.5 else 1.0
