"""Which filmed pixels beside the mesh a frame keeps, on the shipped avatar."""

from __future__ import annotations

import cv2
import numpy as np

from models.avatar.folder import SHIPPED, load_avatar
from models.capture.hull import outline
from models.capture.uncovered import remove_uncovered
from models.contract.frame_state import neutral_state

SIZE = 320


def test_the_plate_appears_beside_head_and_hair_alone() -> None:
    avatar = load_avatar(SHIPPED / "default")
    manifest = avatar.manifest
    state = neutral_state(len(manifest.expression_names), manifest.eye_position, manifest.fov_y_rad)
    mesh = outline(avatar.head, state, SIZE)
    rng = np.random.default_rng(1)
    captured, plate = rng.integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    # A matte that covers the whole frame exceeds the mesh as far as possible.
    rgb, coverage = remove_uncovered(
        avatar.head, state, (captured, np.full((SIZE, SIZE), 255, np.uint8)), plate
    )
    beside = cv2.dilate(mesh.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    above, below = beside.copy(), beside.copy()
    above[SIZE // 2 :] = False
    below[: 9 * SIZE // 10] = False
    assert min(mesh.sum(), above.sum()) > 10_000
    assert below.sum() > 300
    assert np.array_equal(rgb[mesh | below], captured[mesh | below])
    assert (coverage[mesh | below] == 255).all()
    assert np.array_equal(rgb[above], plate[above])
    assert (coverage[above] == 0).all()
