"""The convolutions in Triton against plain torch, with and without a crossfade."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.geometry.head import Head
from models.kernels.cuda.live_path import LiveBuffers
from models.kernels.cuda.parameters import FrameInput
from models.networks.conditioning import compute_conditioning
from models.networks.reproject import reproject_bilinear, reproject_nearest
from models.runtime.base import Cache
from models.runtime.telewarp_cuda import frame_input, live_model
from models.runtime.telewarp_torch import Box, ReprojectedShares, TelewarpTorchRuntime
from tests.models.kernels.cuda.conftest import Rendered, plain_runtime, render


def plain_smooth(plain: TelewarpTorchRuntime, b: LiveBuffers, cache: Cache) -> torch.Tensor:
    """Return (H/2, W/2, 32) by plain torch, from the inputs of the kernels."""
    first, second = (
        reproject_nearest(cache[name].permute(2, 0, 1)[None], b.positions)[0].permute(1, 2, 0)
        for name in ("first", "second")
    )
    residual = reproject_bilinear(cache["residual"].permute(2, 0, 1)[None], b.positions)[0]
    second = second + b.trust[0] * residual.permute(1, 2, 0)
    live = b.live[0, 1:-1, 1:-1, : plain.live_weight.shape[1]].permute(2, 0, 1)[None]
    side = live.shape[2]
    with torch.inference_mode():
        shares = ReprojectedShares(first, second)
        convolved = plain.convolve(Box(0, 0, side, side), live, b.code[0], shares)
    smooth: torch.Tensor = convolved[0]
    return smooth


def active_of(buffers: LiveBuffers) -> torch.Tensor:
    """Return the active region, (H/2, W/2) bool."""
    left, right = buffers.active[0]
    columns = torch.arange(buffers.smooth.shape[2])
    active: torch.Tensor = (columns >= left[:, None]) & (columns < right[:, None])
    return active


def test_both_convolutions_equal_torchs_in_the_active_region(rendered: Rendered) -> None:
    expected = plain_smooth(rendered.plain, rendered.buffers, rendered.cache)
    active = active_of(rendered.buffers)
    got = rendered.buffers.smooth[0]
    torch.testing.assert_close(got[active], expected[active], rtol=1e-5, atol=2e-5)
    assert 0.2 < active.float().mean() < 1
    assert expected[active].std() > 0.05


@pytest.mark.parametrize(("network_size", "hidden"), [(0.3, 38), (2.0, 256)])
def test_networks_larger_than_the_shipped_ones_are_convolved_in_parts(
    build_avatar: Callable[..., Avatar],
    front: FrameState,
    turned: FrameState,
    network_size: float,
    hidden: int,
) -> None:
    """32 channels at once: 38 leave a part of 6, and 256 take eight."""
    plain = plain_runtime(build_avatar("live", network_size))
    assert plain.warper.hidden == hidden
    cache = {spec.name: torch.zeros(spec.shape, dtype=spec.dtype) for spec in plain.layout}
    plain.refresh(front, cache)
    frame = frame_input(turned, cache)
    path = render(live_model(plain), plain.stage.head, [frame], plain.stage.size)
    active, got = active_of(path.buffers), path.buffers.smooth[0]
    expected = plain_smooth(plain, path.buffers, cache)
    scale = expected[active].abs().max().item()
    torch.testing.assert_close(got[active], expected[active], rtol=1e-5, atol=1e-5 * scale)
    assert expected[active].std() > 0.01 * scale


def test_a_crossfade_warps_the_mixed_cache(rendered: Rendered, ball: Head) -> None:
    torch.manual_seed(1)
    share = 0.3
    older = {
        name: tensor + 0.1 * torch.randn(tensor.shape) if tensor.is_floating_point() else tensor
        for name, tensor in rendered.cache.items()
    }
    frame = FrameInput(
        rendered.state, compute_conditioning(rendered.state), older, rendered.cache, share
    )
    buffers = render(rendered.model, ball, [frame], rendered.plain.stage.size).buffers
    names = ("first", "second", "residual")
    mixed = {name: torch.lerp(older[name], rendered.cache[name], share) for name in names}
    expected, active = plain_smooth(rendered.plain, buffers, mixed), active_of(buffers)
    torch.testing.assert_close(buffers.smooth[0][active], expected[active], rtol=1e-5, atol=5e-5)
    assert (buffers.smooth[0] - rendered.buffers.smooth[0])[active].abs().max() > 0.05
