"""Load a dataset of either format: a split to train on and one to validate on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import torch

from models.data.authors_dataset import AuthorsSplit, validation_split
from models.data.dataset import DatasetError, SplitReader
from models.data.pairs import Split
from models.data.rendered_dataset import RenderedSplit
from models.geometry.flame import EYE_POSITION, FOV_Y_RAD, is_flame
from models.geometry.head import Head
from models.networks.avatar_networks import FlamePaperNetworks, NetworkConfig, Networks

Format = Literal["drawn", "authors"]


class Dataset(Protocol):
    """Both splits, and the properties of an avatar trained on them."""

    train: Split
    validation: Split
    size: int
    """Rows and columns of the images."""
    eye_position: tuple[float, float, float]
    """Eye of the default view, metres."""
    fov_y_rad: float
    """Vertical field of view of the default view."""

    def network_config(self, config: NetworkConfig) -> NetworkConfig:
        """Return the given config with the conditioning that the dataset provides.

        Raises:
            DatasetError: If the dataset lacks inputs that these networks need.
        """

    def set_statistics(self, networks: Networks) -> None:
        """Set the mean and deviation of the conditioning where networks standardize it."""


class RenderedDataset:
    """A dataset written by `scripts/make_dataset.py`.

    Args:
        folder: Folder of the dataset.
        head: Head that the images show.

    Raises:
        DatasetError: If the dataset is incomplete.
    """

    def __init__(self, folder: Path, head: Head) -> None:
        frames = SplitReader(folder, "train")
        self.train: Split = RenderedSplit(frames, head, frames.weights)
        self.validation: Split = RenderedSplit(SplitReader(folder, "val"), head)
        self.size, self.eye_position = frames.size, frames.eye_position
        self.fov_y_rad = frames.fov_y_rad

    def network_config(self, config: NetworkConfig) -> NetworkConfig:
        if config.numbers != "ours":
            raise DatasetError(
                "rendered datasets have our conditioning: leave out --train.network.numbers, "
                f"got {config.numbers}"
            )
        return config

    def set_statistics(self, networks: Networks) -> None:
        pass  # our networks do not standardize their conditioning


class AuthorsDataset:
    """A dataset of the paper's authors.

    Args:
        folder: Folder of the dataset.
        head_path: File that the head was loaded from, for error messages.
        head: FLAME head that the images show.

    Raises:
        DatasetError: If the dataset is incomplete, or the head is not a FLAME head.
    """

    def __init__(self, folder: Path, head_path: Path, head: Head) -> None:
        if not is_flame(head):
            raise DatasetError(
                f"the authors' dataset shows a FLAME head, got another head in {head_path} "
                "(make one with scripts/import_head.py and give it as --head)"
            )
        self._frames = AuthorsSplit(folder, "train")
        self.train: Split = self._frames
        self.validation: Split = AuthorsSplit(folder, validation_split(folder))
        self.size = self._frames.size
        self.eye_position, self.fov_y_rad = EYE_POSITION, FOV_Y_RAD

    def network_config(self, config: NetworkConfig) -> NetworkConfig:
        if config.variant != "paper":
            raise DatasetError(
                "the authors' dataset holds no normals, which our networks need; "
                "train the paper's networks with --train.network.variant paper"
            )
        return replace(config, numbers="flame")

    def set_statistics(self, networks: Networks) -> None:
        # `network_config` has selected these networks.
        assert isinstance(networks, FlamePaperNetworks)
        networks.standardize_by(*map(torch.from_numpy, self._frames.statistics))


def load_dataset(kind: Format, folder: Path, head_path: Path, head: Head) -> Dataset:
    """Load a dataset.

    Args:
        kind: Format of the files.
        folder: Folder of the dataset.
        head_path: File that `head` was loaded from, for error messages.
        head: Head that the images show.

    Raises:
        DatasetError: If the dataset is incomplete, or shows another kind of head.
    """
    if kind == "authors":
        return AuthorsDataset(folder, head_path, head)
    return RenderedDataset(folder, head)
