"""Source positions of all pixels, and the active region. References:
`networks.reproject.find_source_positions`, `networks.live_inputs.find_active_region`.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.kernels.cuda.resolve import NOT_VISIBLE

_FAR = tl.constexpr(1 << 30)
"""Larger than any distance."""


@triton.jit
def extend(
    flow: tl.tensor,
    extents: tl.tensor,
    size: tl.tensor,
    margin: tl.tensor,
    positions: tl.tensor,
    active: tl.tensor,
    block: tl.constexpr,
    columns: tl.constexpr,
) -> None:
    """Extend the flow of a row to pixels off the head, and find the row's active columns.

    Pixels off the head get the flow of the nearest pixel on it in their row; rows without one use
    the nearest row that has one. Grid: (H/2, B).

    Args:
        flow: (B, H/2, W/2, 2) of `resolve`, pixels at half resolution.
        extents: (B, 3, H/2) int32 of `resolve`: in each row the first and the last column with soft
            coverage, and whether any pixel is covered.
        size: Rows and columns of the image.
        margin: `FOREGROUND_MARGIN`, below 16.
        positions: (B, H/2, W/2, 2) filled: where each pixel's surface point was in the cached
            frame, pixels; the centre of the first is (0.5, 0.5).
        active: (B, 2, H/2) filled: first active column, and the column after the last.
        block: W/2, rounded up to a power of two.
        columns: Columns that are compared at once.
    """
    y = tl.program_id(0)
    half = size // 2
    extents += tl.program_id(1) * 3 * half
    _store_active(extents, half, y, margin, active + tl.program_id(1) * 2 * half)
    rows = tl.arange(0, block)
    covered = tl.load(extents + 2 * half + rows, mask=rows < half, other=0) > 0
    nearest = tl.min(tl.where(covered, _distance(y, rows), _FAR), axis=0)
    source = _decode(nearest, y)
    x = tl.arange(0, block)
    best = tl.full([block], _FAR, tl.int32)
    flow += (tl.program_id(1) * half + source) * half * 2
    for start in range(0, half, columns):
        near = start + tl.arange(0, columns)
        sideways = tl.load(flow + near * 2, mask=near < half, other=NOT_VISIBLE)
        apart = _distance(x[:, None], near[None, :])
        apart = tl.where((sideways != NOT_VISIBLE)[None, :], apart, _FAR)
        best = tl.minimum(best, tl.min(apart, axis=1))
    # If the head is nowhere in the image, the flow is 0.
    found = best < _FAR
    real = x < half
    at = flow + _decode(best, x) * 2
    dx = tl.load(at, mask=found & real, other=0.0)
    dy = tl.load(at + 1, mask=found & real, other=0.0)
    out = positions + ((tl.program_id(1) * half + y) * half + x) * 2
    tl.store(out, x.to(tl.float32) + 0.5 + dx, mask=real)
    tl.store(out + 1, y.to(tl.float32) + 0.5 + dy, mask=real)


@triton.jit
def _distance(here: tl.tensor, there: tl.tensor) -> Any:
    """Return twice the distance, and one more to the right: of two the lower counts as nearer."""
    return tl.abs(there - here) * 2 + (there > here).to(tl.int32)


@triton.jit
def _decode(distance: tl.tensor, here: tl.tensor) -> Any:
    """Return the index at a `_distance`; `here` where none is near."""
    steps = distance // 2
    there = tl.where(distance % 2 == 1, here + steps, here - steps)
    return tl.where(distance < _FAR, there, here)


@triton.jit
def _store_active(
    extents: tl.tensor, half: tl.tensor, y: tl.tensor, margin: tl.tensor, active: tl.tensor
) -> None:
    """Store the active columns of row `y`: within the margin of those with soft coverage."""
    # 32 rows hold the margin on both sides: it is below 16.
    near = y - margin + tl.arange(0, 32)
    on = (near >= 0) & (near < half) & (near <= y + margin)
    low = tl.min(tl.load(extents + near, mask=on, other=half), axis=0)
    high = tl.max(tl.load(extents + half + near, mask=on, other=-1), axis=0)
    tl.store(active + y, tl.where(high >= 0, tl.maximum(low - margin, 0), 0))
    tl.store(active + half + y, tl.where(high >= 0, tl.minimum(high + margin + 1, half), 0))
