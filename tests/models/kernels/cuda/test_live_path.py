"""Overheads of a frame: launches, and bytes to and from the device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.avatar.folder import load_avatar
from models.kernels.cuda.blocks import INTERPRETER_BLOCKS
from models.kernels.cuda.frame_renderer import FrameRenderer, Output
from models.kernels.cuda.launch import LaunchRecorder
from models.kernels.cuda.parameters import FrameInput
from models.kernels.nv12 import rgb_to_nv12
from models.networks.conditioning import compute_conditioning
from models.runtime.telewarp_cuda import live_model
from tests.models.kernels.cuda.conftest import Rendered, plain_runtime

SHIPPED = Path(__file__).resolve().parents[4] / "models/avatars"
ORDER = [
    "begin_frame", "draw", "cross_edges", "blend_edges", "resolve", "extend", "convolve",
]  # fmt: skip


@pytest.mark.parametrize(
    ("batch", "output", "last"),
    [
        (1, Output.RGB, "compose"),
        (1, Output.NV12, "compose_nv12"),
        (8, Output.NV12, "compose_nv12"),
    ],
)
def test_a_batch_of_frames_takes_eight_launches_and_one_allocation_of_buffers(
    rendered: Rendered, batch: int, output: Output, last: str
) -> None:
    recorder = LaunchRecorder()
    head = rendered.plain.stage.head
    renderer = FrameRenderer(rendered.model, head, batch, output, INTERPRETER_BLOCKS, recorder)
    conditioning = compute_conditioning(rendered.state)
    renderer.prepare([FrameInput(rendered.state, conditioning, rendered.cache, rendered.cache)])
    renderer.render()
    assert [launched.name for launched in recorder.launched] == [*ORDER, last]
    assert len(recorder.launched) == 8
    assert all(launched.grid[-1] == batch for launched in recorder.launched)
    addresses = [tensor_addresses(launched.arguments) for launched in recorder.launched]
    renderer.render()
    assert addresses == [tensor_addresses(x.arguments) for x in recorder.launched[len(ORDER) + 1 :]]


def tensor_addresses(arguments: tuple[object, ...]) -> list[int]:
    return [value.data_ptr() for value in arguments if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("name", ["default", "marcus", "greta"])
def test_a_frame_of_a_shipped_avatar_sends_less_than_a_kilobyte_and_returns_one_image(
    name: str,
) -> None:
    avatar = load_avatar(SHIPPED / name)
    plain = plain_runtime(avatar)
    sizes = {}
    for output in Output:
        renderer = FrameRenderer(live_model(plain), avatar.head, 1, output, run=LaunchRecorder())
        assert renderer.bytes_in < 1000
        sizes[output] = renderer.bytes_out
    assert sizes == {Output.RGB: 320 * 320 * 3, Output.NV12: 320 * 320 * 3 // 2}


def test_nv12_of_a_frame_equals_its_converted_rgb(rendered: Rendered) -> None:
    head = rendered.plain.stage.head
    conditioning = compute_conditioning(rendered.state)
    frame = FrameInput(rendered.state, conditioning, rendered.cache, rendered.cache)
    renderer = FrameRenderer(rendered.model, head, 1, Output.NV12, INTERPRETER_BLOCKS)
    renderer.prepare([frame])
    assert torch.equal(renderer.render()[0], rgb_to_nv12(rendered.buffers.rgb[0]))
