"""The visible mark: on the selected frames only, and legible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.contract.avatar_info import Subject
from models.contract.backdrop import TRANSPARENT
from models.contract.images import LAYER_GAP, Nv12Image, RgbImage, layered_rows
from models.kernels.layers import finish
from models.kernels.nv12_numba import convert_to_nv12
from server.pool.fake import FakeEngineFactory, fake_avatar, fake_state
from server.pool.mark import Mark, MarkedAvatars
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from tests.server.pool.test_pool import refreshed, warp

DRAWN = fake_avatar("drawn", 320)
REAL = replace(DRAWN, id="real", subject=Subject("Me", "I agree.", "me.mp4 0f3a", "2026-01-01"))


@pytest.mark.parametrize(
    ("marked", "drawn", "real"), [("off", False, False), ("real", False, True), ("all", True, True)]
)
def test_the_setting_selects_the_avatars(marked: MarkedAvatars, drawn: bool, real: bool) -> None:
    for avatar, expected in ((DRAWN, drawn), (REAL, real)):
        image = np.full((320, 320, 3), 90, np.uint8)
        Mark(marked).draw(avatar, image)
        assert Mark(marked).applies_to(avatar) == expected
        assert bool((image != 90).any()) == expected


@pytest.mark.parametrize("side", [64, 192, 320, 512])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_mark_is_small_and_has_contrast_on_every_background(side: int, grey: int) -> None:
    image = np.full((side, side, 3), grey, np.uint8)
    Mark("all").draw(DRAWN, image)
    rows, columns = np.nonzero((image != grey).any(2))
    assert rows.min() > 0.7 * side, "in the bottom left corner"
    assert rows.max() < side - 1
    assert columns.min() > 0
    assert (rows.max() - rows.min()) >= 9
    label = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    dark, bright = (float(value) / 255 for value in np.percentile(label, [10, 99.5]))
    assert (bright**2.2 + 0.05) / (dark**2.2 + 0.05) > 4.5, "the minimum of WCAG for text"
    if side >= 192:
        assert label.size < 0.04 * image.size


@pytest.mark.parametrize("side", [64, 320])
@pytest.mark.parametrize("background", [0, 255])
def test_a_layered_frame_has_the_label_in_its_colours_and_its_coverage(
    side: int, background: int
) -> None:
    """Composed over a page, it equals the label over the composed image."""
    head = torch.empty((side, side, 4), dtype=torch.uint8)
    head[...] = torch.tensor([90, 90, 90, 0], dtype=torch.uint8)
    head[..., 3] = 255 * (torch.arange(side) > side // 5)  # covers the right part of the label
    frame = finish(head, TRANSPARENT).numpy()
    expected = _composed(frame, side, background)
    Mark("all").draw(DRAWN, expected)
    Mark("all").draw_nv12(DRAWN, frame, layered=True)
    got = _composed(frame, side, background)
    apart = np.abs(got.astype(int) - expected)
    assert apart.max() <= 3
    assert (got != background).any(2)[:, : side // 5].any(), "outside the head, too"


def _composed(frame: Nv12Image, side: int, background: int) -> RgbImage:
    """Compose a grey layered frame over a page of one grey, as a viewer does."""
    rows = layered_rows(side)
    luma, mask = frame[:side].astype(float), frame[side + LAYER_GAP : rows].astype(float)
    cover = (mask - 16) / 219
    grey = cover * (luma - 16) / 219 * 255 + (1 - cover) * background
    composed: RgbImage = np.rint(grey).astype(np.uint8)[..., None].repeat(3, 2)
    return composed


@pytest.mark.parametrize("side", [64, 192, 320])
def test_frames_of_video_have_the_same_label_as_images(side: int) -> None:
    rgb = np.full((side, side, 3), (200, 90, 40), np.uint8)
    nv12 = convert_to_nv12(rgb)
    Mark("all").draw(DRAWN, rgb)
    Mark("all").draw_nv12(DRAWN, nv12)
    expected = convert_to_nv12(rgb)
    assert np.abs(nv12.astype(int) - expected).max() <= 1
    assert len(np.unique(expected)) > 20


async def test_frames_and_images_of_marked_avatars_have_the_label() -> None:
    settings = PoolSettings(workers=1, rest=0, mark="real")
    pool = RenderPool(settings, FakeEngineFactory(avatars=(DRAWN, REAL)))
    await pool.start()
    try:
        await pool.wait_ready(20)
        marks: dict[str, Any] = {}
        for avatar in ("drawn", "real"):
            slots = pool.open_slots(avatar)
            await refreshed(slots, 0.25)
            frame = await warp(pool, slots, fake_state(0.25))
            assert frame is not None
            image = await pool.render(avatar, fake_state(0.25))
            luma = frame.nv12[:320]
            marks[avatar] = [bool(np.ptp(each[200:, :160])) for each in (luma, image)]
            slots.close()
        assert marks == {"drawn": [False, False], "real": [True, True]}
    finally:
        await pool.close()
