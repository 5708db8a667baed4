"""The live inputs in Triton against plain torch."""

from __future__ import annotations

import numpy as np
import torch

from models.geometry.gbuffer import SOFT_MAX
from models.networks.live_inputs import LiveInputs, uv_change
from models.networks.reproject import find_source_positions, reproject_nearest
from tests.models.kernels.cuda.conftest import Rendered


def plain_inputs(rendered: Rendered) -> LiveInputs:
    inputs: LiveInputs = rendered.plain._inputs(rendered.plain.stage.frame(rendered.state))
    return inputs


def test_live_inputs_equal_the_plain_ones(rendered: Rendered) -> None:
    inputs = plain_inputs(rendered)
    expected = inputs.half_res[0].permute(1, 2, 0)
    got = rendered.buffers.live[0, 1:-1, 1:-1]
    torch.testing.assert_close(got[..., : expected.shape[2]], expected, rtol=1e-5, atol=2e-5)
    assert expected.std(dim=(0, 1)).min() > 0.01


def test_the_uv_change_equals_the_plain_one(rendered: Rendered) -> None:
    inputs = plain_inputs(rendered)
    now = rendered.plain.stage.frame(rendered.state).mesh
    assert now is not None
    positions = find_source_positions(now, rendered.cache["points"][None], torch.zeros(1, 2))
    older = reproject_nearest(rendered.cache["uv"].permute(2, 0, 1)[None], positions)
    expected = uv_change(inputs, older[:, :2], older[:, 2:])[0].permute(1, 2, 0)
    channels = inputs.half_res.shape[1]
    got = rendered.buffers.live[0, 1:-1, 1:-1, channels : channels + 2]
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    assert expected.abs().max() > 0.05


def test_soft_coverage_equals_the_plain_one_to_the_bit(rendered: Rendered) -> None:
    expected = (plain_inputs(rendered).coverage[0, 0] * SOFT_MAX).round()
    np.testing.assert_array_equal(rendered.buffers.soft[0], expected.byte())
    assert len(np.unique(expected)) > 10


def test_border_and_padded_channels_stay_zero(rendered: Rendered) -> None:
    live = rendered.buffers.live[0].clone()
    assert live.abs().sum() > 0
    live[1:-1, 1:-1, : rendered.model.features.shape[2] + 10] = 0
    assert live.abs().sum() == 0
