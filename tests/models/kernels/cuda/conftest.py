"""A small frame, rendered by the CUDA kernels in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.geometry.head import Head
from models.kernels.cuda.blocks import INTERPRETER_BLOCKS
from models.kernels.cuda.live_path import LiveBuffers, LiveModel, LivePath
from models.kernels.cuda.parameters import FrameInput, FrameParameters
from models.networks.conditioning import compute_conditioning
from models.runtime import telewarp_torch
from models.runtime.base import Cache
from models.runtime.telewarp_cuda import live_model
from models.runtime.telewarp_torch import TelewarpTorchRuntime


class Rendered(NamedTuple):
    """A frame of the ball, and its inputs."""

    plain: TelewarpTorchRuntime
    model: LiveModel
    state: FrameState
    cache: Cache
    buffers: LiveBuffers


def plain_runtime(avatar: Avatar) -> TelewarpTorchRuntime:
    """Return the reference implementation in float32: the interpreter cannot multiply bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telewarp_torch, "network_dtype", lambda device: torch.float32)
        return TelewarpTorchRuntime(avatar, torch.device("cpu"))


def begin(model: LiveModel, head: Head, frames: list[FrameInput], size: int) -> LivePath:
    """Launch the first kernel for a batch of frames."""
    parameters = FrameParameters(head, size, len(frames), pinned=False)
    path = LivePath(model, len(frames), parameters.words, INTERPRETER_BLOCKS)
    for index, frame in enumerate(frames):
        parameters.fill(index, frame)
        if frame.state.vertices is not None:
            path.own_vertices[index] = torch.from_numpy(frame.state.vertices)
    path.parameters.copy_(parameters.host)
    path.begin()
    return path


def render(model: LiveModel, head: Head, frames: list[FrameInput], size: int) -> LivePath:
    """Render a batch of frames, and return the path with its filled buffers."""
    path = begin(model, head, frames, size)
    path.render()
    return path


@pytest.fixture(scope="session")
def rendered(
    build_avatar: Callable[..., Avatar],
    ball: Head,
    front: FrameState,
    turned: FrameState,
) -> Rendered:
    """The turned ball, warped from a cache of its front.

    The state contains the vertices: the reference implementation blends shapes with fused
    multiplications, which would move a few vertices by 1/256 pixel.
    """
    plain = plain_runtime(build_avatar("live"))
    cache = {spec.name: torch.zeros(spec.shape, dtype=spec.dtype) for spec in plain.layout}
    plain.refresh(front, cache)
    state = replace(turned, vertices=ball.shape(turned.expression))
    model = live_model(plain)
    frame = FrameInput(state, compute_conditioning(state), cache, cache)
    path = render(model, ball, [frame], plain.stage.size)
    return Rendered(plain, model, state, cache, path.buffers)
