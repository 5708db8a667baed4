"""Mixing at silhouettes in the live inputs of the networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.geometry.silhouettes import DIRECTIONS, SHARE_UNIT
from models.networks.avatar_networks import TelewarpNetworks
from models.networks.frame_batch import FrameBatch
from models.networks.live_inputs import mix_at_silhouettes
from models.runtime.base import Stage


def test_each_direction_mixes_with_its_neighbour_by_the_share() -> None:
    values = torch.arange(2 * 5 * 5, dtype=torch.float32).reshape(1, 2, 5, 5).square()
    for index, (dy, dx) in enumerate(DIRECTIONS):
        blend = torch.zeros(1, 5, 5, dtype=torch.uint8)
        blend[0, 2, 2] = 48 << 2 | index
        mixed = mix_at_silhouettes(values, blend)
        share = 48 / SHARE_UNIT
        expected = (1 - share) * values[0, :, 2, 2] + share * values[0, :, 2 + dy, 2 + dx]
        torch.testing.assert_close(mixed[0, :, 2, 2], expected)
        mixed[0, :, 2, 2] = values[0, :, 2, 2]
        torch.testing.assert_close(mixed, values)


def test_pixels_are_not_mixed_with_neighbours_outside_a_crop() -> None:
    values = torch.rand(1, 3, 4, 4)
    blend = torch.zeros(1, 4, 4, dtype=torch.uint8)
    blend[0, 1, 0] = 60 << 2 | DIRECTIONS.index((0, -1))
    torch.testing.assert_close(mix_at_silhouettes(values, blend), values)


@torch.inference_mode()
def test_a_batch_mixes_the_paint_of_each_frame_at_its_own_silhouettes(
    build_avatar: Callable[..., Avatar], front: FrameState, turned: FrameState
) -> None:
    avatar = build_avatar("live")
    assert isinstance(avatar.networks, TelewarpNetworks)
    stage = Stage(avatar, torch.device("cpu"))
    frames = [stage.frame(state) for state in (front, turned)]
    both = avatar.networks.inputs(FrameBatch.concatenate(frames)).paint
    for index, frame in enumerate(frames):
        assert frame.blend is not None
        single, hard = avatar.networks.inputs(frame).paint, hard_paint(avatar, frame)
        torch.testing.assert_close(both[index], single[0])
        changed = (single - hard).abs().amax(dim=1) > 1e-6
        assert changed.sum() > 30
        assert not (changed & (frame.blend == 0)).any()


def hard_paint(avatar: Avatar, frame: FrameBatch) -> torch.Tensor:
    assert isinstance(avatar.networks, TelewarpNetworks)
    return avatar.networks.inputs(frame._replace(blend=None)).paint


@torch.inference_mode()
def test_a_small_shift_of_an_outline_changes_the_mixed_paint_less_than_the_hard_paint(
    build_avatar: Callable[..., Avatar], front: FrameState
) -> None:
    """Without mixing, pixels change their whole colour or do not change."""
    avatar = build_avatar("live")
    assert isinstance(avatar.networks, TelewarpNetworks)
    stage = Stage(avatar, torch.device("cpu"))
    moved = replace(front, head_translation=front.head_translation + 0.0007)
    frames = [stage.frame(state) for state in (front, moved)]
    mixed = [avatar.networks.inputs(frame).paint for frame in frames]
    hard = [hard_paint(avatar, frame) for frame in frames]
    largest = [(pair[0] - pair[1]).abs().max().item() for pair in (mixed, hard)]
    assert largest[0] < 0.5 * largest[1]
