"""Posing, projecting and the motion code in Triton against numba and plain torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.geometry import rasterizer
from models.geometry.head import Head, HeadError
from models.geometry.jaw import FreeJaw
from models.kernels.cuda.parameters import FrameInput, FrameParameters
from models.networks.conditioning import compute_conditioning, split_conditioning
from models.runtime.base import Cache
from models.runtime.telewarp_cuda import live_model
from tests.models.kernels.cuda.conftest import Rendered, begin, plain_runtime


def free_jaw_ball(ball: Head) -> Head:
    """Return the ball with a jaw that follows a rotation vector."""
    random = np.random.default_rng(3)
    correctives = random.normal(0, 0.002, (9, ball.neutral.size)).astype(np.float32)
    shifts = random.normal(0, 0.01, (4, 3)).astype(np.float32)
    return replace(ball, free_jaw=FreeJaw(np.array([0, 1, 2], np.int32), shifts, correctives))


@pytest.mark.parametrize("jaw", ["opens", "rotates freely"])
def test_posed_vertices_equal_those_of_the_head(
    build_avatar: Callable[..., Avatar], ball: Head, turned: FrameState, jaw: str
) -> None:
    avatar = build_avatar("live")
    head = ball if jaw == "opens" else free_jaw_ball(ball)
    plain = plain_runtime(replace(avatar, head=head))
    cache = {spec.name: torch.zeros(spec.shape, dtype=spec.dtype) for spec in plain.layout}
    frame = FrameInput(turned, compute_conditioning(turned), cache, cache)
    got = begin(live_model(plain), head, [frame], plain.stage.size).buffers.world[0]
    expected = head.pose(turned)
    assert (
        np.abs(expected - head.pose(replace(turned, expression=turned.expression * 0))).max() > 0.01
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)


def test_posed_given_vertices_equal_those_of_the_head_to_the_bit(rendered: Rendered) -> None:
    expected = rendered.plain.stage.head.pose(rendered.state)
    np.testing.assert_array_equal(rendered.buffers.world[0], expected)


def test_vertices_are_snapped_as_in_the_reference_and_culled_behind_the_eye(
    rendered: Rendered, ball: Head
) -> None:
    size = rendered.plain.stage.size
    # Half of the ball is behind this eye.
    inside = replace(rendered.state, eye_position=np.array([0, 0, 0.01], np.float32))
    for state in (rendered.state, inside):
        frame = FrameInput(state, compute_conditioning(state), rendered.cache, rendered.cache)
        buffers = begin(rendered.model, ball, [frame], size).buffers
        xy, inverse = rasterizer.project(buffers.world[0].numpy(), state, size, size)
        np.testing.assert_array_equal(buffers.xy[0], xy)
        np.testing.assert_allclose(buffers.inverse[0], inverse, rtol=1e-15)
    assert 0 < (inverse == 0).sum() < len(inverse)


def plain_motion(rendered: Rendered, cached: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    now = split_conditioning(torch.from_numpy(compute_conditioning(rendered.state))[None])
    older = split_conditioning(cached[None])
    return rendered.plain.motion(now, older), rendered.plain.warper.trust(now, older)[0]


def test_the_motion_code_and_the_trust_equal_torchs(rendered: Rendered) -> None:
    code, trust = plain_motion(rendered, rendered.cache["conditioning"])
    torch.testing.assert_close(rendered.buffers.code[0], code, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(rendered.buffers.trust[0], trust, rtol=1e-5, atol=1e-6)
    assert code.abs().max() > 0.1
    assert 0.05 < trust < 0.79


def test_a_crossfade_mixes_the_cached_conditioning(rendered: Rendered, ball: Head) -> None:
    older: Cache = {name: tensor + 0.1 for name, tensor in rendered.cache.items()}
    frame = FrameInput(
        rendered.state, compute_conditioning(rendered.state), older, rendered.cache, 0.25
    )
    buffers = begin(rendered.model, ball, [frame], rendered.plain.stage.size).buffers
    mixed = torch.lerp(older["conditioning"], rendered.cache["conditioning"], 0.25)
    code, trust = plain_motion(rendered, mixed)
    torch.testing.assert_close(buffers.code[0], code, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(buffers.trust[0], trust, rtol=1e-5, atol=1e-6)


def test_a_state_that_does_not_fit_the_head_is_refused(rendered: Rendered, ball: Head) -> None:
    parameters = FrameParameters(ball, 64, 1, pinned=False)
    conditioning = compute_conditioning(rendered.state)
    bad = replace(rendered.state, vertices=np.zeros((3, 3), np.float32))
    with pytest.raises(HeadError, match="vertices must be"):
        parameters.fill(0, FrameInput(bad, conditioning, rendered.cache, rendered.cache))
    bad = replace(rendered.state, vertices=None, expression=np.zeros(3, np.float32))
    with pytest.raises(HeadError, match="expression must be"):
        parameters.fill(0, FrameInput(bad, conditioning, rendered.cache, rendered.cache))
