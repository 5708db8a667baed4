"""Samples of the data sets of the paper's authors, and training on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from models.avatar.folder import SHIPPED, load_avatar
from models.contract.frame_state import neutral_state
from models.data.authors_dataset import AuthorsSplit, read_statistics
from models.data.dataset import DatasetError
from models.data.pairs import PairSettings
from models.data.processes import ALONE
from models.geometry.flame import flame_head, load_flame
from models.geometry.gbuffer import Window
from models.networks.avatar_networks import (
    FlamePaperNetworks,
    NetworkConfig,
    Networks,
    build_networks,
)
from models.runtime.renderer import CachedRenderer
from models.training.objective import PairObjective
from models.training.run import RunArguments, build_trainer
from models.training.trainer import Progress, TrainConfig
from tests.models.authors_files import (
    FRAMES,
    SIZE,
    dataset_arrays,
    video_background,
    write_dataset,
)
from tests.models.flame_file import write_flame_npz


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_a_frame_has_the_values_of_the_files(tmp_path: Path, white: float) -> None:
    write_dataset(tmp_path / "data", white)
    split = AuthorsSplit(tmp_path / "data", "train")
    given = dataset_arrays(white, FRAMES, 0)
    window = Window(16, 8, 32, 40)
    split_frame = split.frame(3)
    np.testing.assert_array_equal(split_frame.mask, given["mask"][3] / white * 255)
    frame, truth = split_frame.sample(window)
    part = np.s_[16:48, 8:48]
    uv = given["grid"][3][part]
    assert np.isnan(uv).any()
    np.testing.assert_allclose(frame.uv[0], np.nan_to_num(uv, nan=0.0).clip(-1, 1))
    np.testing.assert_allclose(truth.rgb[0], given["larger_image"][3][:, *part] / white, atol=1e-6)
    np.testing.assert_allclose(truth.mask[0, 0], given["mask"][3][part] / white)
    numbers = np.concatenate([given[k][3].ravel() for k in ("pose", "extrinsics", "exp")])
    np.testing.assert_allclose(frame.conditioning_vector[0], numbers)


def test_the_background_is_cropped_to_the_image(folder: Path) -> None:
    background = AuthorsSplit(folder, "train").background
    assert background.shape == (SIZE, SIZE, 3)
    # The square goes from (50, 20) to (110, 80); its corners are pixel centres.
    video = video_background()
    for place, source in (((0, 0), (20, 50)), ((63, 63), (80, 110)), ((0, 63), (20, 110))):
        assert np.abs(background[place].astype(int) - video[source]).max() <= 3


def test_a_frame_older_than_the_first_is_the_first(folder: Path) -> None:
    split = AuthorsSplit(folder, "train")
    assert (len(split), split.older(5, 2), split.older(1, 8)) == (FRAMES, 3, 0)


def test_statistics_are_those_of_the_training_split(folder: Path, tmp_path: Path) -> None:
    mean, deviation = read_statistics(folder)
    exp = dataset_arrays(1, FRAMES, 0)["exp"][:, 0]
    np.testing.assert_allclose(mean[9:], exp.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(deviation[9:], exp.std(axis=0), rtol=1e-5)
    np.savez(tmp_path / "statistics.npz", mean=mean, deviation=deviation)
    np.testing.assert_array_equal(read_statistics(tmp_path / "statistics.npz").mean, mean)
    np.savez(tmp_path / "statistics.npz", mean=mean[:9], deviation=deviation)
    with pytest.raises(DatasetError, match=r"mean must be 59 finite numbers, got \(9,\)"):
        read_statistics(tmp_path / "statistics.npz")
    with pytest.raises(DatasetError, match="holds no mean and deviation"):
        read_statistics(tmp_path / "nowhere.npz")


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def reshape(file: str, name: str, shape: tuple[int, ...]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with h5py.File(folder / file, "r+") as opened:
            del opened[name]
            opened[name] = np.zeros(shape, np.float32)

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove("train-pose.h5"), r"train-pose\.h5 is not a readable HDF5 file"),
        (remove("median_background.jpg"), "not a readable image"),
        (
            reshape("train-exp.h5", "exp", (FRAMES, 1, 10)),
            r"train-exp\.h5: exp must be \(10, 1, 50\), got \(10, 1, 10\)",
        ),
        (
            reshape("train-masks.h5", "mask", (4, SIZE, SIZE)),
            r"train-masks\.h5: mask must be \(10, 64, 64\), got \(4, 64, 64\)",
        ),
        (
            reshape("train.h5", "larger_image", (FRAMES, 3, 40, 40)),
            r"grid must be \(10, 40, 40, 2\)",
        ),
        (
            lambda folder: h5py.File(folder / "train.h5", "r+").pop("grid"),
            r"train\.h5 lacks grid, got bbox_center",
        ),
    ],
)
def test_errors_of_a_data_set_are_reported(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    with pytest.raises(DatasetError, match=message):
        AuthorsSplit(folder, "train")


def arguments(tmp_path: Path, data: Path, head: Path) -> RunArguments:
    train = TrainConfig(
        network=NetworkConfig("paper", 0.0625, texture_size=64),
        pairs=PairSettings(batch=2, crop=64, min_age=1, max_age=2),
        steps=40,
        validate_every=1000,
        checkpoint_every=1000,
        validation_frames=3,
        average_decay=0.9,
    )
    return RunArguments(data, tmp_path / "run", format="authors", head=head, train=train)


@pytest.fixture
def head(tmp_path: Path) -> Path:
    write_flame_npz(tmp_path / "flame.npz")
    arrays = flame_head(load_flame(tmp_path / "flame.npz"))
    np.savez(tmp_path / "head.npz", allow_pickle=False, **arrays)
    return tmp_path / "head.npz"


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def objective(networks: Networks, config: TrainConfig, vgg16: nn.Module | None) -> PairObjective:
    return PairObjective(networks, config.loss, config.mixed_precision, vgg16)


@pytest.mark.usefixtures("one_thread")
def test_an_avatar_is_trained_on_the_authors_data(tmp_path: Path, folder: Path, head: Path) -> None:
    torch.manual_seed(0)
    trainer = build_trainer(
        arguments(tmp_path, folder, head), lambda c: build_networks(c.network), objective, ALONE
    )
    steps: list[Progress] = []
    trainer.run(steps.append)
    first = np.mean([s.losses["warp"] for s in steps[:5]])
    last = np.mean([s.losses["warp"] for s in steps[-5:]])
    assert last < 0.85 * first

    avatar = load_avatar(tmp_path / "run" / "avatar")
    assert isinstance(avatar.networks, FlamePaperNetworks)
    np.testing.assert_allclose(avatar.networks.numbers_mean, read_statistics(folder).mean)
    assert avatar.manifest.expression_range == (-5.0, 5.0)
    assert avatar.manifest.resolution == SIZE
    renderer = CachedRenderer(avatar)
    cache = renderer.allocate_cache()
    state = neutral_state(53, avatar.manifest.eye_position, avatar.manifest.fov_y_rad)
    renderer.refresh(state, cache)
    assert renderer.warp(state, cache).rgb.shape == (SIZE, SIZE, 3)


def test_networks_and_heads_that_do_not_fit_the_data_are_refused(
    tmp_path: Path, folder: Path, head: Path
) -> None:
    def build(given: RunArguments) -> None:
        build_trainer(given, lambda c: build_networks(c.network), objective, ALONE)

    given = arguments(tmp_path, folder, head)
    live = replace(given.train, network=NetworkConfig("live", 0.0625))
    with pytest.raises(DatasetError, match=r"--train\.network\.variant paper"):
        build(replace(given, train=live))
    shipped = SHIPPED / "default" / "head.npz"
    with pytest.raises(DatasetError, match="shows a FLAME head, got another head in"):
        build(replace(given, head=shipped))
