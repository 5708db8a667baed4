"""Variants of the warp differ in their inputs, and only their warps are trained."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from models.avatar.folder import Avatar
from models.data.pairs import PairLoader, PairSettings
from models.data.rendered_dataset import RenderedSplit
from models.evaluation.ablation import VARIANTS, VariantWarp, measure_variants, train_variants
from models.evaluation.evaluation import HeldOutFrame
from models.geometry.head import Head
from models.networks.avatar_networks import TelewarpNetworks, Variant
from models.runtime.base import Stage
from models.training.optimizer import Rates
from tests.models.studio.ball import Ball


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_variants_are_trained_together_and_measured(
    ball: Head, build_avatar: Callable[[Variant], Avatar]
) -> None:
    avatar: Avatar = build_avatar("live")
    networks = avatar.networks
    assert isinstance(networks, TelewarpNetworks)
    before = copy.deepcopy(networks.state_dict())
    warps = [VariantWarp(networks, variant) for variant in VARIANTS]
    with PairLoader(RenderedSplit(Ball(ball), ball), PairSettings(2, 64, max_age=4), 0) as loader:
        losses = list(train_variants(networks, warps, iter(loader), 2, Rates()))
    assert np.isfinite(losses).all()
    assert len(set(losses[0])) == len(VARIANTS)  # images differ from the first step
    assert all(torch.equal(value, before[name]) for name, value in networks.state_dict().items())

    (older, _, _), (state, truth, _) = (Ball(ball).frame(index) for index in (2, 6))
    held_out_frames = [HeldOutFrame(state, older, {1: state, 4: older}, {}, truth)]
    table = measure_variants(networks, warps, Stage(avatar, torch.device("cpu")), held_out_frames)
    assert list(table) == ["full render", *(variant.name for variant in VARIANTS)]
    assert all(set(table[variant.name]) == {"1", "4"} for variant in VARIANTS)


@torch.inference_mode()
def test_the_variant_with_all_inputs_equals_the_served_warp(
    ball: Head, build_avatar: Callable[[Variant], Avatar]
) -> None:
    avatar: Avatar = build_avatar("live")
    networks, stage = avatar.networks, Stage(avatar, torch.device("cpu"))
    assert isinstance(networks, TelewarpNetworks)
    older, now = (stage.frame(Ball(ball).frame(index)[0]) for index in (2, 6))
    (full_variant,) = (v for v in VARIANTS if v.reprojects and v.residual)
    full = networks.full(older)
    made = VariantWarp(networks, full_variant)(full, older, now, networks.inputs(now))
    torch.testing.assert_close(made.rgb, networks.warp(full.cache, older, now).rgb)
