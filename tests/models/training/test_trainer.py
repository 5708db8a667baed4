"""Training networks on a ball with a chequered surface."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.avatar.folder import Avatar, load_avatar
from models.contract.frame_state import FrameState
from models.data.pairs import PairLoader, PairSettings
from models.data.processes import Processes
from models.data.rendered_dataset import RenderedSplit
from models.data.samples import SamplePair
from models.geometry.head import Head
from models.networks.avatar_networks import NetworkConfig, Variant, build_networks
from models.runtime.renderer import CachedRenderer
from models.training.initialization import initialize
from models.training.losses import LossWeights
from models.training.objective import PairObjective, WarpObjective
from models.training.trainer import Progress, RunError, TrainConfig, Trainer
from tests.models.conftest import write_head
from tests.models.studio.ball import Ball


def settings(variant: Variant, steps: int) -> TrainConfig:
    return TrainConfig(
        network=NetworkConfig(
            variant, 0.0625, texture_size=64, feature_size=32, texture_levels=2, expressions=4
        ),
        pairs=PairSettings(batch=2, crop=64, max_age=4),
        steps=steps,
        validate_every=1000,
        checkpoint_every=20,
        validation_frames=3,
        average_decay=0.9,
    )


@pytest.fixture
def frames(ball: Head) -> Ball:
    return Ball(ball)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trainer(
    frames: Ball,
    ball: Head,
    build_avatar: Callable[[Variant], Avatar],
    variant: Variant,
    steps: int,
    folder: Path,
) -> Trainer:
    avatar: Avatar = build_avatar(variant)
    config = settings(variant, steps)
    torch.manual_seed(config.seed)
    networks = build_networks(config.network)
    initialize(networks)
    objective = PairObjective(networks, config.loss, config.mixed_precision)
    split = RenderedSplit(frames, ball)
    return Trainer(config, objective, split, split, ball, avatar.manifest, folder)


def test_only_the_warp_is_trained_by_its_objective(
    frames: Ball, ball: Head, build_avatar: Callable[[Variant], Avatar], tmp_path: Path
) -> None:
    avatar: Avatar = build_avatar("live")
    config = settings("live", 40)
    torch.manual_seed(0)
    networks = build_networks(config.network)
    initialize(networks)
    before = copy.deepcopy(networks.state_dict())
    objective = WarpObjective(networks, LossWeights(), mixed_precision=True)
    split = RenderedSplit(frames, ball)
    seen: list[float] = []
    trainer = Trainer(config, objective, split, split, ball, avatar.manifest, tmp_path)
    trainer.run(lambda progress: seen.append(progress.losses["warp"]))
    assert np.mean(seen[-5:]) < 0.9 * np.mean(seen[:5])
    after = networks.state_dict().items()
    changed = {name.split(".")[0] for name, value in after if not torch.equal(value, before[name])}
    assert changed == {"warper"}


@pytest.mark.parametrize("variant", ["live", "paper"])
def test_training_reduces_the_loss(
    frames: Ball,
    ball: Head,
    build_avatar: Callable[[Variant], Avatar],
    tmp_path: Path,
    variant: Variant,
) -> None:
    steps: list[Progress] = []
    trainer(frames, ball, build_avatar, variant, 60, tmp_path).run(steps.append)
    first = np.mean([s.losses["warp"] for s in steps[:5]])
    last = np.mean([s.losses["warp"] for s in steps[-5:]])
    assert last < 0.7 * first
    assert [s.step for s in steps] == list(range(1, 61))
    assert steps[-1].fraction == 1
    (line,) = (tmp_path / "validation.jsonl").read_text().splitlines()
    assert json.loads(line)["warp_psnr"] > 12


def test_an_interrupted_run_resumes_and_saves_an_avatar_that_renders(
    frames: Ball, ball: Head, build_avatar: Callable[[Variant], Avatar], tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(frames, ball, build_avatar, "live", 40, tmp_path).run(interrupt)
    resumed = trainer(frames, ball, build_avatar, "live", 40, tmp_path)
    assert resumed.step == 20  # the last checkpoint
    with pytest.raises(RunError, match="other networks"):
        trainer(frames, ball, build_avatar, "paper", 40, tmp_path)
    seen: list[int] = []
    resumed.run(lambda progress: seen.append(progress.step))
    assert seen == list(range(21, 41))

    write_head(ball, tmp_path / "avatar" / "head.npz")
    avatar = load_avatar(tmp_path / "avatar")
    state, truth, _ = frames.frame(3)
    image = CachedRenderer(avatar).full(state)
    assert np.abs(image.astype(int) - truth).mean() < 60


def test_a_resumed_run_takes_the_same_steps_as_an_uninterrupted_one(
    frames: Ball, ball: Head, build_avatar: Callable[[Variant], Avatar], tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.step == 21:
            raise KeyboardInterrupt

    whole: list[Progress] = []
    first = trainer(frames, ball, build_avatar, "live", 24, tmp_path / "whole")
    first.run(whole.append)
    with pytest.raises(KeyboardInterrupt):
        trainer(frames, ball, build_avatar, "live", 24, tmp_path / "halves").run(interrupt)
    rest: list[Progress] = []
    second = trainer(frames, ball, build_avatar, "live", 24, tmp_path / "halves")
    second.run(rest.append)
    assert [p.losses for p in rest] == [p.losses for p in whole[20:]]
    for one, other in zip(first.average.parameters(), second.average.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("least_steps", "expected"), [(0, 1), (3, 3)])
def test_least_steps_are_taken_on_a_busy_machine_however_short_the_time(
    frames: Ball,
    ball: Head,
    build_avatar: Callable[[Variant], Avatar],
    tmp_path: Path,
    least_steps: int,
    expected: int,
) -> None:
    run = trainer(frames, ball, build_avatar, "live", 100, tmp_path)
    run.config = replace(run.config, minutes=1e-6, least_steps=least_steps)
    fractions: list[float] = []
    run.run(lambda progress: fractions.append(progress.fraction))
    assert fractions == pytest.approx([(step + 1) / expected for step in range(expected)])


def test_the_same_seed_gives_the_same_weights(
    frames: Ball, ball: Head, build_avatar: Callable[[Variant], Avatar], tmp_path: Path
) -> None:
    runs = [trainer(frames, ball, build_avatar, "live", 3, tmp_path / name) for name in "ab"]
    for run in runs:
        run.run(lambda progress: None)
    one, same = (run.networks.state_dict() for run in runs)
    assert all(torch.equal(one[name], same[name]) for name in one)


def test_the_same_seed_draws_the_same_pairs(frames: Ball, ball: Head) -> None:
    def first(seed: int) -> SamplePair:
        settings = PairSettings(batch=3, crop=32, max_age=4)
        with PairLoader(RenderedSplit(frames, ball), settings, seed) as loader:
            return next(iter(loader))

    one, same, other = first(1), first(1), first(2)
    torch.testing.assert_close(one.now.truth.rgb, same.now.truth.rgb)
    assert not torch.equal(one.now.truth.rgb, other.now.truth.rgb)


def test_processes_share_a_batch(frames: Ball, ball: Head) -> None:
    def second(processes: Processes, threads: int = 1) -> torch.Tensor:
        settings = PairSettings(batch=4, crop=32, max_age=4, threads=threads)
        loader = PairLoader(RenderedSplit(frames, ball), settings, 5, 7, processes)
        with loader:
            return next(iter(loader)).now.truth.rgb

    whole = second(Processes(0, 1))
    assert torch.equal(second(Processes(0, 2)), whole[0::2])
    assert torch.equal(second(Processes(1, 2)), whole[1::2])
    assert torch.equal(second(Processes(0, 1), threads=3), whole)
    with pytest.raises(ValueError, match="3 processes cannot share 4 pairs"):
        second(Processes(0, 3))


def test_each_frame_of_a_pair_is_read_once(frames: Ball, ball: Head) -> None:
    read: list[int] = []
    frame = frames.frame

    def read_frame(index: int) -> tuple[FrameState, NDArray[np.uint8], NDArray[np.uint8]]:
        read.append(index)
        return frame(index)

    frames.frame = read_frame  # type: ignore[method-assign]  # replaced on this instance only
    settings = PairSettings(batch=3, crop=32, max_age=4)
    with PairLoader(RenderedSplit(frames, ball), settings, 0) as loader:
        next(iter(loader))
    assert len(read) % 6 == 0  # whole batches of three pairs


def test_ages_are_within_their_limits(frames: Ball, ball: Head) -> None:
    ages: list[int] = []
    older = frames.older

    def older_frame(index: int, age: int) -> int:
        ages.append(age)
        return older(index, age)

    frames.older = older_frame  # type: ignore[method-assign]  # replaced on this instance only
    settings = PairSettings(batch=40, crop=32, min_age=2, max_age=5)
    with PairLoader(RenderedSplit(frames, ball), settings, 0) as loader:
        next(iter(loader))
    assert set(ages) == {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": 40}, "crop must be a multiple of 32, got 40"),
        ({"margin": 8}, "margin must be a multiple of 16, got 8"),
        ({"min_age": 3, "max_age": 2}, r"0 <= min <= max, got 3\.\.2"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairSettings(**arguments)


def test_a_window_greater_than_the_images_is_refused(frames: Ball, ball: Head) -> None:
    with pytest.raises(ValueError, match="crop must be at most 64"):
        PairLoader(RenderedSplit(frames, ball), PairSettings(crop=96), 0)


def test_both_frames_of_a_pair_have_the_same_window(frames: Ball, ball: Head) -> None:
    split = RenderedSplit(frames, ball)
    with PairLoader(split, PairSettings(batch=8, crop=32, max_age=4), 0) as loader:
        pair = next(iter(loader))
    assert pair.now.truth.rgb.shape == (8, 3, 32, 32)
    samples = [split.frame(index).sample() for index in range(len(frames))]
    for numbers, rgb in zip(pair.now.frame.conditioning_vector, pair.now.truth.rgb, strict=True):
        (whole,) = (w for w in samples if torch.equal(w.frame.conditioning_vector[0], numbers))
        windows = whole.truth.rgb[0].unfold(1, 32, 2).unfold(2, 32, 2)  # (3, y, x, 32, 32)
        assert (windows == rgb[:, None, None]).all(dim=(0, 3, 4)).any()


def test_the_window_of_the_older_frame_is_larger_by_the_margin(frames: Ball, ball: Head) -> None:
    split = RenderedSplit(frames, ball)
    settings = PairSettings(batch=8, crop=32, margin=16, max_age=0)
    with PairLoader(split, settings, 0) as loader:
        cached, now = next(iter(loader))
    assert cached.truth.rgb.shape == (8, 3, 64, 64)  # the whole image
    meshes = cached.frame.mesh, now.frame.mesh
    assert meshes[0] is not None
    assert meshes[1] is not None
    for older, newer, origin in zip(cached.truth.rgb, now.truth.rgb, meshes[1].origin, strict=True):
        left, top = (int(x) * 2 for x in origin)
        assert torch.equal(older[:, top : top + 32, left : left + 32], newer)


def test_reading_a_failed_loader_raises_its_error(ball: Head, frames: Ball) -> None:
    def broken(index: int) -> None:
        raise OSError("the disk is gone")

    frames.frame = broken  # type: ignore[method-assign, assignment]  # raises
    with (
        PairLoader(RenderedSplit(frames, ball), PairSettings(batch=1, crop=32), 0) as loader,
        pytest.raises(OSError, match="disk is gone"),
    ):
        next(iter(loader))
