"""What a run learns from, whichever way it lies on disk: footage to train on and to choose by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import torch

from models.data.authors_dataset import AuthorsSplit, validation_split
from models.data.dataset import DatasetError, Sequences
from models.data.pairs import Split
from models.data.rendered_dataset import RenderedSplit
from models.geometry.flame import EYE_POSITION, FOV_Y_RAD, is_flame
from models.geometry.head import Head
from models.networks.avatar_networks import FlamePaperNetworks, NetworkConfig, Networks

Format = Literal["drawn", "authors"]


class Dataset(Protocol):
    """Both splits, and what an avatar trained on them has to be."""

    train: Split
    validation: Split
    size: int
    """Rows and columns of the pictures."""
    eye_position: tuple[float, float, float]
    """Where the default view looks from, metres."""
    fov_y_rad: float

    def adapt(self, config: NetworkConfig) -> NetworkConfig:
        """The networks that can learn from it, as near as can be to those asked for."""

    def introduce(self, networks: Networks) -> None:
        """Tell networks what they need to know of the whole of it."""


class RenderedDataset:
    """A dataset of `scripts/make_dataset.py`.

    Args:
        folder: The dataset's.
        head: That it shows.

    Raises:
        DatasetError: If it is incomplete.
    """

    def __init__(self, folder: Path, head: Head) -> None:
        frames = Sequences(folder, "train")
        self.train: Split = RenderedSplit(frames, head)
        self.validation: Split = RenderedSplit(Sequences(folder, "val"), head)
        self.size, self.eye_position = frames.size, frames.eye_position
        self.fov_y_rad = frames.fov_y_rad

    def adapt(self, config: NetworkConfig) -> NetworkConfig:
        if config.numbers != "ours":
            raise DatasetError("drawn pictures come with our numbers, got --train.network.numbers")
        return config

    def introduce(self, networks: Networks) -> None:
        pass


class AuthorsDataset:
    """A data set of the paper's authors.

    Args:
        folder: The data set's.
        head_path: Where its head was loaded from.
        head: The FLAME head that it shows.

    Raises:
        DatasetError: If it is incomplete, or the head is no FLAME head.
    """

    def __init__(self, folder: Path, head_path: Path, head: Head) -> None:
        if not is_flame(head):
            raise DatasetError(
                f"the authors' data show a FLAME head; {head_path} is another "
                "(make one with scripts/import_head.py and give it as --head)"
            )
        self._frames = AuthorsSplit(folder, "train")
        self.train: Split = self._frames
        self.validation: Split = AuthorsSplit(folder, validation_split(folder))
        self.size = self._frames.size
        self.eye_position, self.fov_y_rad = EYE_POSITION, FOV_Y_RAD

    def adapt(self, config: NetworkConfig) -> NetworkConfig:
        if config.variant != "paper":
            raise DatasetError(
                "the authors' data hold no normals, which our networks need: train the paper's "
                "with --train.network.variant paper"
            )
        return replace(config, numbers="flame")

    def introduce(self, networks: Networks) -> None:
        assert isinstance(networks, FlamePaperNetworks)
        networks.standardize_by(*map(torch.from_numpy, self._frames.statistics))


def load_dataset(kind: Format, folder: Path, head_path: Path, head: Head) -> Dataset:
    """What a run learns from.

    Raises:
        DatasetError: If it is incomplete, or does not go with the head.
    """
    if kind == "authors":
        return AuthorsDataset(folder, head_path, head)
    return RenderedDataset(folder, head)
