"""The smooth step, for arrays and for single numbers."""

from __future__ import annotations

import numpy as np
import pytest

from models.geometry.smoothstep import scalar_smoothstep, smoothstep


def test_it_is_flat_outside_and_half_in_the_middle() -> None:
    x = np.array([-5.0, 1.0, 2.0, 3.0, 9.0])
    assert smoothstep(1.0, 3.0, x).tolist() == [0, 0, 0.5, 1, 1]
    slopes = np.diff(smoothstep(1.0, 3.0, np.array([1.0, 1.001, 2.0, 2.001, 2.999, 3.0])))[::2]
    assert slopes[[0, 2]] == pytest.approx([0, 0], abs=1e-6)
    assert slopes[1] == pytest.approx(0.001 * 1.5 / 2, rel=1e-3)


def test_limits_in_descending_order_mirror_it() -> None:
    x = np.linspace(-1, 2, 50)
    np.testing.assert_allclose(smoothstep(1, 0, x), 1 - smoothstep(0, 1, x), atol=1e-15)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_it_keeps_the_precision_of_its_argument(precision: type[np.floating]) -> None:
    assert smoothstep(0.1, 0.7, np.ones(3, precision)).dtype == precision


def test_that_of_a_single_number_is_the_same() -> None:
    for x in np.linspace(-0.5, 1.5, 41):
        assert scalar_smoothstep(0.2, 0.9, x) == smoothstep(0.2, 0.9, np.array([x]))[0]
        assert scalar_smoothstep(0.9, 0.2, x) == smoothstep(0.9, 0.2, np.array([x]))[0]
