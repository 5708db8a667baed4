"""Read datasets of the paper's authors: HDF5 files that hold the inputs of the networks.

    DIR/SPLIT.h5         larger_image (N, 3, H, W); grid (N, H, W, 2): UV maps, NaN outside
                         the face; bbox_center (N, 2), bbox_size (N,): the crop of the video that
                         the image shows, pixels; extrinsics (N, 3): weak-perspective camera
    DIR/SPLIT-masks.h5   mask (N, H, W)
    DIR/SPLIT-pose.h5    pose (N, 1, 6): rotation vectors of head and jaw
    DIR/SPLIT-exp.h5     exp (N, 1, 50)
    DIR/median_background.jpg   background of the whole video

SPLIT is train, validation or test. The frames of a split are one sequence. Images and masks range
from 0 to 1, or from 0 to 255. Each read opens its file, so any number of threads may read frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from models.contract.images import STRIDE
from models.data.dataset import DatasetError
from models.data.samples import Sample, Truth, image_tensor
from models.geometry.gbuffer import Window
from models.geometry.npz import read_npz
from models.networks.avatar_networks import FLAME_CONDITIONING_SIZE
from models.networks.frame_batch import FrameBatch

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
"""Suffix of the file that holds each array."""


class Statistics(NamedTuple):
    """Statistics that standardize a dataset's conditioning: pose 6, camera 3, expression 50."""

    mean: Floats
    """(59,) mean of each number."""
    deviation: Floats
    """(59,) standard deviation of each number, above 0."""


class AuthorsSplit:
    """One split. Conditioning and crops are kept in memory; images are read on demand.

    Args:
        folder: Folder of the dataset.
        split: `train`, `validation` or `test`.

    Raises:
        DatasetError: If a file or an array is missing, broken, or of another shape.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        shapes = {name: _shape(self._path(name), name) for name in _FILES}
        _check_shapes(folder / split, shapes)
        self._frames, _, self.size, _ = shapes["larger_image"]
        self._conditioning = self._read_conditioning()
        self._centres = self._read("bbox_center").astype(np.float64)
        self._sides = self._read("bbox_size").astype(np.float64).reshape(-1)
        self._video_background = _read_background(folder / "median_background.jpg")
        # The first frame decides for all: the scale of a file does not change.
        self._white = {name: _white(self._read(name, 0)) for name in ("larger_image", "mask")}

    @property
    def background(self) -> Bytes:
        """(H, W, 3) background of the first frame, u8."""
        return self._background(0)

    @property
    def statistics(self) -> Statistics:
        """Mean and deviation of this split's conditioning."""
        deviation = self._conditioning.std(axis=0)
        # A constant channel has deviation 0; dividing by it would make it infinite.
        return Statistics(self._conditioning.mean(axis=0), np.where(deviation > 1e-8, deviation, 1))

    def __len__(self) -> int:
        return self._frames

    def older(self, index: int, age: int) -> int:
        """Return the index of the frame `age` frames before `index`, at least 0."""
        return max(index - age, 0)

    def frame(self, index: int) -> AuthorsFrame:
        """Return a frame, of which only the mask has been read."""
        return AuthorsFrame(self, index)

    def mask(self, index: int) -> Bytes:
        """Read the coverage (H, W) of a frame, u8."""
        mask = self._read("mask", index) / self._white["mask"]
        return np.clip(mask * 255 + 0.5, 0, 255).astype(np.uint8)

    def sample(self, index: int, window: Window, mask: Bytes) -> Sample:
        """Read a window of a frame.

        Args:
            index: Index of the frame.
            window: Pixels to read.
            mask: (H, W) coverage of the whole frame, u8.

        Returns:
            A batch of one.
        """
        # Only the window is read from disk.
        rows = slice(window.top, window.top + window.height)
        columns = slice(window.left, window.left + window.width)
        image = self._read("larger_image", np.s_[index, :, rows, columns])
        # Networks expect 0 outside the face, as the rasterizer writes it.
        uv = np.nan_to_num(self._read("grid", np.s_[index, rows, columns]), nan=0.0)
        frame = FrameBatch(
            torch.from_numpy(np.clip(uv, -1, 1).astype(np.float32))[None],
            torch.zeros(
                1, 0, window.height, window.width
            ),  # the files hold no normals; the paper's networks need none
            torch.from_numpy(self._conditioning[index])[None],
        )
        rgb = (image / self._white["larger_image"]).astype(np.float32)
        coverage = mask[rows, columns].astype(np.float32) / 255
        background = image_tensor(self._background(index)[rows, columns])
        truth = Truth(
            torch.from_numpy(rgb)[None], torch.from_numpy(coverage)[None, None], background
        )
        return Sample(frame, truth)

    def _background(self, index: int) -> Bytes:
        """Crop the video's background (H, W, 3) to the square that the frame's image shows."""
        side = self._sides[index]
        left, top = self._centres[index].astype(int) - side / 2
        step = side / (self.size - 1)
        # Pillow places pixel centres at half integers, the authors at integers.
        offset = 0.5 - step / 2
        matrix = (step, 0, left + offset, 0, step, top + offset)
        cut = self._video_background.transform(
            (self.size, self.size),
            Image.Transform.AFFINE,
            matrix,
            resample=Image.Resampling.BILINEAR,
        )
        return np.array(cut)

    def _read_conditioning(self) -> Floats:
        """Read pose, camera and expression as (N, 59)."""
        parts = [self._read(name) for name in ("pose", "extrinsics", "exp")]
        conditioning = np.concatenate([p.reshape(self._frames, -1) for p in parts], axis=1)
        if not np.isfinite(conditioning).all():
            raise DatasetError(f"{self._folder}/{self._split}: pose, extrinsics or exp hold NaN")
        assert conditioning.shape[1] == FLAME_CONDITIONING_SIZE
        return conditioning.astype(np.float32)

    def _read(self, name: str, index: Any = ()) -> NDArray[Any]:
        with h5py.File(self._path(name)) as file:
            return np.asarray(file[name][index])

    def _path(self, name: str) -> Path:
        return self._folder / f"{self._split}{_FILES[name]}"


class AuthorsFrame:
    """One frame, whose mask is read once.

    Args:
        split: Split that the frame belongs to.
        index: Index of the frame.
    """

    def __init__(self, split: AuthorsSplit, index: int) -> None:
        self.mask = split.mask(index)
        self._split, self._index = split, index

    def sample(self, window: Window | None = None) -> Sample:
        """Read the whole frame, or a window of it, as a batch of one."""
        size = len(self.mask)
        whole = Window(0, 0, size, size)
        return self._split.sample(self._index, window or whole, self.mask)


def read_statistics(path: Path) -> Statistics:
    """Read the statistics that standardize conditioning.

    Args:
        path: Folder of a dataset, whose training split is used, or an `.npz` with `mean` and
            `deviation`.

    Raises:
        DatasetError: If `path` is neither, or holds arrays of other shapes or values.
    """
    if path.is_dir():
        return AuthorsSplit(path, "train").statistics
    try:
        arrays = read_npz(path, Statistics._fields)
        given = Statistics(*(arrays[name].astype(np.float32) for name in Statistics._fields))
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
    """Return the name of a dataset's held-out split: validation, val or test.

    Raises:
        DatasetError: If the folder holds none of them.
    """
    for split in ("validation", "val", "test"):
        if (folder / f"{split}.h5").exists():
            return split
    raise DatasetError(f"{folder} must hold validation.h5, val.h5 or test.h5, got none")


def _shape(path: Path, name: str) -> tuple[int, ...]:
    """Return the shape of an array without reading it."""
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
        # Some files have an additional dimension of 1.
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
        raise DatasetError(f"{split}.h5: images must be a multiple of {STRIDE}, got {size}")


def _read_background(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, UnidentifiedImageError) as exc:
        raise DatasetError(f"{path} is not a readable image: {exc}") from exc


def _white(values: NDArray[Any]) -> float:
    """Return the value that means white, or full coverage: 1 or 255."""
    # Values of 1 may exceed 1 by rounding; a dark image in 0..255 still exceeds 1.5.
    return 255.0 if values.max(initial=0) > 1.5 else 1.0
