"""Training, saving, loading and rendering baselines, on the ball."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar.folder import Avatar, load_avatar
from models.avatar.manifest import AvatarError
from models.data.pairs import PairSettings
from models.data.rendered_dataset import RenderedSplit
from models.evaluation.baseline import (
    BaselineObjective,
    FrameCount,
    build_two_frame_networks,
    load_baseline,
    mark_baseline,
)
from models.geometry.head import Head
from models.networks.avatar_networks import NetworkConfig, Networks, Variant, build_networks
from models.runtime.renderer import CachedRenderer
from models.training.initialization import initialize
from models.training.trainer import Progress, TrainConfig, Trainer
from tests.models.conftest import write_head
from tests.models.studio.ball import Ball


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(ball: Head, avatar: Avatar, frames: FrameCount, folder: Path) -> list[Progress]:
    config = TrainConfig(
        network=NetworkConfig(
            avatar.manifest.network.variant,
            0.0625,
            texture_size=64,
            texture_levels=2,
            expressions=4,
        ),
        pairs=PairSettings(batch=2, crop=64, min_age=1, max_age=2),
        steps=40,
        validation_frames=3,
        average_decay=0.9,
    )
    torch.manual_seed(0)
    build: Callable[[NetworkConfig], Networks]
    build = build_networks if frames == 1 else build_two_frame_networks
    networks = build(config.network)
    initialize(networks)
    objective = BaselineObjective(networks, config.loss, config.mixed_precision)
    split = RenderedSplit(Ball(ball), ball)
    steps: list[Progress] = []
    Trainer(config, objective, split, split, ball, avatar.manifest, folder).run(steps.append)
    write_head(ball, folder / "avatar" / "head.npz")
    mark_baseline(folder / "avatar", frames)
    return steps


@pytest.mark.parametrize("variant", ["live", "paper"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_baseline_is_trained_and_rendered_from_its_folder(
    ball: Head,
    build_avatar: Callable[[Variant], Avatar],
    tmp_path: Path,
    variant: Variant,
    frames: FrameCount,
) -> None:
    steps = train(ball, build_avatar(variant), frames, tmp_path)
    first, last = (np.mean([s.losses["full"] for s in part]) for part in (steps[:5], steps[-5:]))
    assert last < 0.8 * first

    baseline = load_baseline(tmp_path / "avatar", "cpu")
    assert baseline.size == 64
    (previous, _, _), (state, truth, _) = (Ball(ball).frame(index) for index in (5, 6))
    image = baseline.image(state, previous)
    assert np.abs(image.astype(int) - truth).mean() < 60
    image_at_rest = baseline.image(state, state)
    assert (image != image_at_rest).any() == (frames == 2)


def test_one_frame_baselines_are_avatars_and_two_frame_ones_are_not(
    ball: Head, build_avatar: Callable[[Variant], Avatar], tmp_path: Path
) -> None:
    train(ball, build_avatar("live"), 1, tmp_path / "one")
    train(ball, build_avatar("live"), 2, tmp_path / "two")
    state, _, _ = Ball(ball).frame(3)
    full = CachedRenderer(load_avatar(tmp_path / "one" / "avatar")).full(state)
    baseline = load_baseline(tmp_path / "one" / "avatar", "cpu")
    np.testing.assert_array_equal(full, baseline.image(state, state))
    with pytest.raises(AvatarError, match="does not fit the manifest's networks"):
        load_avatar(tmp_path / "two" / "avatar")


def test_a_damaged_two_frame_baseline_is_refused(
    ball: Head, build_avatar: Callable[[Variant], Avatar], tmp_path: Path
) -> None:
    train(ball, build_avatar("live"), 2, tmp_path)
    (tmp_path / "avatar" / "weights.safetensors").write_bytes(b"garbage")
    with pytest.raises(AvatarError, match="is not a two-frame baseline"):
        load_baseline(tmp_path / "avatar", "cpu")
