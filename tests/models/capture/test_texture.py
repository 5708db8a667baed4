"""The mean colours of a person's frames in the texture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.capture.texture import TEXTURE_SIZE, Unwrapped
from models.contract.frame_state import neutral_state
from models.geometry.head_file import load_head
from models.heads.assembly import BOXES
from models.heads.regions import Region, load_regions
from tests.models.capture.phone_video import HEAD

COLOURS = {Region.HAIR: 0, Region.CLOTHES: 255}


@pytest.mark.parametrize(("box", "region"), [("hair", Region.HAIR), ("cloth", Region.CLOTHES)])
def test_unseen_texels_of_a_part_take_no_colour_of_other_parts(box: str, region: Region) -> None:
    head = load_head(HEAD)
    state, size = neutral_state(len(head.expression_names), (0, -0.05, 0.9), 0.5), 96
    regions = load_regions(head, HEAD)
    assert regions is not None
    shown = regions.shown(state, size)
    image = np.full((size, size, 3), 127, np.uint8)
    for part_region, colour in COLOURS.items():
        image[shown == part_region] = colour
    unwrapped = Unwrapped(head)
    unwrapped.add(state, image, np.where(shown == Region.BACKGROUND, 0, 255).astype(np.uint8))
    u, v, width, height = (round(value * TEXTURE_SIZE) for value in BOXES[box])
    part = np.s_[v : v + height, u : u + width]
    assert not unwrapped.seen()[part].all()
    assert np.abs(unwrapped.colours()[part] - COLOURS[region] / 255).max() < 0.01


def test_texels_seen_only_at_a_slant_are_not_well_seen() -> None:
    head = load_head(HEAD)
    unwrapped = Unwrapped(head)
    assert not unwrapped.well_seen().any()
    size = 96
    for yaw_rad in (0.0, 0.0, 0.0, 0.5):
        state = neutral_state(len(head.expression_names), (0, -0.05, 0.9), 0.5)
        turn = np.array([0, np.sin(yaw_rad / 2), 0, np.cos(yaw_rad / 2)], np.float32)
        state = replace(state, head_rotation=turn)
        full = np.full((size, size), 255, np.uint8)
        unwrapped.add(state, np.zeros((size, size, 3), np.uint8), full)
    seen, well = unwrapped.seen(), unwrapped.well_seen()
    u, v, width, height = (round(value * TEXTURE_SIZE) for value in BOXES["hair"])
    hair = np.s_[v : v + height, u : u + width]
    assert seen[well].all()
    assert 0.2 < well[hair].sum() / seen[hair].sum() < 0.9
