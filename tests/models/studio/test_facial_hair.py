"""The regions of brows and beards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.studio.appearance import Appearance
from models.studio.facial_hair import bearded, brow_height, brow_width

ALONG = np.linspace(0, 1, 11)


def test_brows_follow_height_width_and_arch_of_the_appearance() -> None:
    level = replace(Appearance(), brow_arch=0.0, brow_height_mm=18.0)
    np.testing.assert_allclose(brow_height(ALONG, level), 0.018, atol=1e-7)
    arched = brow_height(ALONG, replace(level, brow_arch=1.0))
    assert arched.max() - arched.min() > 0.004
    broad = brow_width(ALONG, replace(level, brow_breadth=2.0))
    np.testing.assert_allclose(broad, 2 * brow_width(ALONG, replace(level, brow_breadth=1.0)))


def test_a_beard_grows_around_the_mouth_but_not_on_lips_cheeks_and_forehead() -> None:
    named = {
        "lips": (0.0, -0.075, 0.04),
        "upper lip": (0.010, -0.060, 0.035),
        "chin": (0.0, -0.112, 0.025),
        "jaw": (0.058, -0.085, -0.02),
        "cheek": (0.035, -0.030, 0.02),
        "forehead": (0.0, 0.05, 0.03),
    }
    points = np.array(list(named.values()), np.float32)
    lips = np.array([name == "lips" for name in named], np.float32)
    grown = dict(zip(named, bearded(points, lips), strict=True))
    assert min(grown[name] for name in ("upper lip", "chin", "jaw")) > 0.6
    assert max(grown[name] for name in ("lips", "cheek", "forehead")) < 0.05
