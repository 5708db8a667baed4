from collections.abc import Callable

import pytest
import torch

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.geometry.gbuffer import Window, render_gbuffer
from models.networks.avatar_networks import TelewarpNetworks, Variant
from models.networks.conditioning import compute_conditioning
from models.networks.frame_batch import FrameBatch, frame_batch
from models.networks.telewarp import FULL_TRUST
from models.runtime.base import Stage
from tests.models.conftest import SIZE


def frames(avatar: Avatar, *states: FrameState) -> list[FrameBatch]:
    stage = Stage(avatar, torch.device("cpu"))
    return [stage.frame(state) for state in states]


@torch.inference_mode()
def test_a_warp_at_the_pose_of_the_cache_adds_the_residual(
    build_avatar: Callable[[Variant], Avatar], turned: FrameState
) -> None:
    avatar = build_avatar("live")
    networks, (frame,) = avatar.networks, frames(avatar, turned)
    assert isinstance(networks, TelewarpNetworks)
    full, inputs, conditioning = networks.full(frame), networks.inputs(frame), frame.conditioning
    prepared = networks.warper.prepare(full.cache, conditioning)
    no_residual = prepared._replace(residual=torch.zeros_like(prepared.residual))
    reprojected = networks.warper.reproject(
        no_residual, networks.source_positions(frame, frame), conditioning, conditioning
    )
    smooth = networks.warper(reprojected, inputs, conditioning, conditioning)
    alone = networks.generator.paint_over(smooth, inputs)
    warp = networks.warp(full.cache, frame, frame)
    assert (full.image.rgb - alone.rgb).abs().max() > 0.05
    expected = alone.rgb + FULL_TRUST * (full.image.rgb - alone.rgb)
    torch.testing.assert_close(warp.rgb, expected, atol=1e-4, rtol=1e-4)
    logit = alone.mask_logit + FULL_TRUST * (full.image.mask_logit - alone.mask_logit)
    torch.testing.assert_close(warp.mask_logit, logit, atol=1e-3, rtol=1e-4)


@torch.inference_mode()
def test_the_weight_of_the_residual_falls_with_the_rotation(
    build_avatar: Callable[[Variant], Avatar], front: FrameState, turned: FrameState
) -> None:
    avatar = build_avatar("live")
    assert isinstance(avatar.networks, TelewarpNetworks)
    warper = avatar.networks.warper
    still, other = (frame.conditioning for frame in frames(avatar, front, turned))
    between = still._replace(pose=(still.pose + other.pose) / 2)
    weights = [warper.trust(now, still).item() for now in (still, between, other)]
    assert weights[0] == pytest.approx(FULL_TRUST)
    assert FULL_TRUST > weights[1] > weights[2] > 0
    turn = (other.pose - still.pose).norm()
    assert weights[2] == pytest.approx(
        FULL_TRUST / (1 + (turn / warper.half_trust) ** 2).item(), rel=1e-5
    )


@torch.inference_mode()
def test_the_warp_depends_on_cache_pose_and_live_inputs(
    build_avatar: Callable[[Variant], Avatar], front: FrameState, turned: FrameState
) -> None:
    avatar = build_avatar("live")
    networks = avatar.networks
    old, new = frames(avatar, front, turned)
    cache_old, cache_new = networks.full(old).cache, networks.full(new).cache
    reference = networks.warp(cache_old, old, new).rgb
    for other in (
        networks.warp(cache_new, old, new),
        networks.warp(cache_old, new, new),
        networks.warp(cache_old, old, old),
    ):
        assert (other.rgb - reference).abs().max() > 1e-3


@torch.inference_mode()
def test_the_inside_of_a_crop_is_rendered_as_in_the_whole_image(
    build_avatar: Callable[[Variant], Avatar], turned: FrameState
) -> None:
    """Training on crops requires that the warp does not depend on the whole image."""
    avatar = build_avatar("live")
    networks = avatar.networks
    (whole,) = frames(avatar, turned)
    window = Window(16, 16, 32, 32)
    crop = frame_batch(
        render_gbuffer(avatar.head, turned, SIZE, window), compute_conditioning(turned), window
    )
    cache = networks.full(whole).cache
    expected = networks.warp(cache, whole, whole).rgb[:, :, 16:48, 16:48]
    got = networks.warp(cache, whole, crop).rgb
    inner = slice(6, -6)
    torch.testing.assert_close(got[:, :, inner, inner], expected[:, :, inner, inner])
