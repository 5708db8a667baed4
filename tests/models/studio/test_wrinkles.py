"""Which wrinkles deepen with which expression."""

from __future__ import annotations

import numpy as np

from models.studio.wrinkles import Wrinkles, crease_depth, crease_relief

FOREHEAD, LEFT_CHEEK, RIGHT_CHEEK = [0.0, 0.047, 0.03], [0.03, -0.05, 0.025], [-0.03, -0.05, 0.025]
POINTS = np.array([FOREHEAD, LEFT_CHEEK, RIGHT_CHEEK, [0.0, 0.0, -0.15]], np.float32)
NAMES = ("browInnerUp", "mouthSmileLeft")


def test_wrinkles_fold_where_the_expression_moves_the_skin() -> None:
    wrinkles = Wrinkles(POINTS, NAMES)
    assert wrinkles.fold(np.zeros(2, np.float32)).max() == 0
    surprised = wrinkles.fold(np.array([1, 0], np.float32))
    assert surprised[0] > 0.3
    assert surprised[1:].max() < 0.05
    smiling = wrinkles.fold(np.array([0, 1], np.float32))
    assert smiling[1] > 0.6
    assert smiling[[0, 2, 3]].max() < 0.15


def test_coefficients_above_one_do_not_deepen_wrinkles() -> None:
    wrinkles = Wrinkles(POINTS, NAMES)
    assert wrinkles.fold(np.array([9, 9], np.float32)).max() <= 1.2


def test_relief_points_away_from_the_groove_on_both_sides() -> None:
    y = np.linspace(0.040, 0.051, 200, dtype=np.float32)
    points = np.stack([np.zeros_like(y), y, np.full_like(y, 0.03)], axis=1)
    depth, relief = crease_depth(points), crease_relief(points)
    bottom = int(depth.argmax())
    assert depth[bottom] > 0.9
    # The walls of a groove face each other: the lower one faces up, the upper one down.
    assert relief[bottom - 15, 1] > 0.05
    assert relief[bottom + 15, 1] < -0.05
    assert crease_depth(points - np.array([0, 0, 0.1], np.float32)).max() == 0
