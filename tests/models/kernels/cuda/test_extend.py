"""Source positions and active region in Triton against plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.kernels.cuda.extend import extend
from models.kernels.cuda.launch import launch
from models.kernels.cuda.resolve import NOT_VISIBLE
from models.networks.live_inputs import FOREGROUND_MARGIN, find_active_region
from models.networks.reproject import _extend, find_source_positions
from tests.models.kernels.cuda.conftest import Rendered

HALF = 32


def extended(covered: torch.Tensor, flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Run the kernel for a coverage mask (HALF, HALF) and a flow; soft coverage is as wide."""
    columns = torch.arange(HALF)
    extents = torch.stack(
        [
            torch.where(covered, columns, HALF).amin(dim=1),
            torch.where(covered, columns, -1).amax(dim=1),
            covered.any(dim=1).long(),
        ]
    ).int()
    marked = flow.clone()
    marked[~covered] = torch.tensor([NOT_VISIBLE.value, 0.0])
    positions, active = torch.zeros(HALF, HALF, 2), torch.zeros(2, HALF, dtype=torch.int32)
    launch(
        extend, (HALF, 1), marked, extents, 2 * HALF, FOREGROUND_MARGIN, positions, active,
        block=32, columns=16,
    )  # fmt: skip
    return positions, active


def masks() -> dict[str, torch.Tensor]:
    random = torch.rand(HALF, HALF, generator=torch.Generator().manual_seed(1))
    rows = torch.zeros(HALF, HALF, dtype=torch.bool)
    rows[10:13, 5:9] = rows[11, 27] = rows[25, 31] = True
    corner = torch.zeros(HALF, HALF, dtype=torch.bool)
    corner[0, 0] = True
    return {
        "scattered": random > 0.9,
        "rows without any": rows,
        "a corner": corner,
        "none": torch.zeros(HALF, HALF, dtype=torch.bool),
        "all": torch.ones(HALF, HALF, dtype=torch.bool),
    }


@pytest.mark.parametrize("mask", masks())
def test_flow_and_active_region_extend_as_in_plain_torch(mask: str) -> None:
    covered = masks()[mask]
    flow = torch.randn(HALF, HALF, 2, generator=torch.Generator().manual_seed(2))
    flow *= covered[..., None]
    positions, (left, right) = extended(covered, flow)
    columns = torch.arange(HALF)
    centres = torch.stack(torch.meshgrid(columns + 0.5, columns + 0.5, indexing="xy"), dim=-1)
    expected = centres + _extend(flow[None], covered[None])[0]
    torch.testing.assert_close(positions, expected, rtol=0, atol=1e-6)
    soft = covered.float()[None, None].repeat_interleave(2, 2).repeat_interleave(2, 3)
    got = (columns >= left[:, None]) & (columns < right[:, None])
    np.testing.assert_array_equal(got, find_active_region(soft)[0, 0, ::2, ::2])


def test_source_positions_of_a_head_equal_plain_torchs(rendered: Rendered) -> None:
    now = rendered.plain.stage.frame(rendered.state).mesh
    assert now is not None
    expected = find_source_positions(now, rendered.cache["points"][None], torch.zeros(1, 2))
    torch.testing.assert_close(rendered.buffers.positions, expected, rtol=1e-5, atol=1e-4)
