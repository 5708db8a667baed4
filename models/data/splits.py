"""What a run learns from, whichever way it lies on disk: footage to train on and to choose by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import torch

from models.data.authors_dataset import AuthorsFootage, validation_split
from models.data.dataset import DatasetError, Sequences
from models.data.pairs import Footage
from models.data.rendered_dataset import DrawnFootage
from models.geometry.flame import EYE_POSITION, FOV_Y_RAD, is_flame
from models.geometry.head import Head
from models.networks.avatar_networks import FlamePaperNetworks, NetworkConfig
from models.training.objective import Networks

Format = Literal["drawn", "authors"]


class Film(Protocol):
    """Both splits, and what an avatar trained on them has to be."""

    train: Footage
    validation: Footage
    size: int
    """Rows and columns of the pictures."""
    eye_position: tuple[float, float, float]
    """Where the default view looks from, metres."""
    fov_y_rad: float

    def adapt(self, config: NetworkConfig) -> NetworkConfig:
        """The networks that can learn from it, as near as can be to those asked for."""

    def introduce(self, networks: Networks) -> None:
        """Tell networks what they need to know of the whole of it."""


class DrawnFilm:
    """A dataset of `scripts/make_dataset.py`.

    Args:
        folder: The dataset's.
        head: That it shows.

    Raises:
        DatasetError: If it is incomplete.
    """

    def __init__(self, folder: Path, head: Head) -> None:
        frames = Sequences(folder, "train")
        self.train: Footage = DrawnFootage(frames, head)
        self.validation: Footage = DrawnFootage(Sequences(folder, "val"), head)
        self.size, self.eye_position = frames.size, frames.eye_position
        self.fov_y_rad = frames.fov_y_rad

    def adapt(self, config: NetworkConfig) -> NetworkConfig:
        if config.numbers != "ours":
            raise DatasetError("drawn pictures come with our numbers, got --train.network.numbers")
        return config

    def introduce(self, networks: Networks) -> None:
        pass


class AuthorsFilm:
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
        self._frames = AuthorsFootage(folder, "train")
        self.train: Footage = self._frames
        self.validation: Footage = AuthorsFootage(folder, validation_split(folder))
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


def load_film(kind: Format, folder: Path, head_path: Path, head: Head) -> Film:
    """What a run learns from.

    Raises:
        DatasetError: If it is incomplete, or does not go with the head.
    """
    if kind == "authors":
        return AuthorsFilm(folder, head_path, head)
    return DrawnFilm(folder, head)
