"""The regions of a person that each pixel shows."""

from __future__ import annotations

import numpy as np

from models.avatar.folder import SHIPPED
from models.contract.frame_state import neutral_state
from models.geometry.head_file import load_head
from models.heads.regions import Region, load_regions

HEAD = SHIPPED / "default" / "head.npz"


def test_the_regions_are_in_anatomical_order() -> None:
    head = load_head(HEAD)
    regions = load_regions(head, HEAD)
    assert regions is not None
    state = neutral_state(len(head.expression_names), (0.0, -0.03, 0.8), 0.4)
    state.expression[head.expression_names.index("jawOpen")] = 0.4
    shown = regions.shown(state, 160)
    rows = {region: np.nonzero(shown == region)[0] for region in Region}
    assert all(len(found) > 20 for found in rows.values())
    height = {region: np.median(found) for region, found in rows.items()}
    order = [Region.HAIR, Region.EYES, Region.MOUTH, Region.CLOTHES]
    assert sorted(order, key=lambda region: height[region]) == order
    assert rows[Region.MOUTH].max() - rows[Region.MOUTH].min() > 8  # open, with lips and teeth
    assert len(rows[Region.FACE]) > 10 * len(rows[Region.EYES])
