"""Late reprojection on the shipped avatar, and the test cases of the client's implementation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.avatar.folder import SHIPPED, Avatar, load_avatar
from scripts.benchmarking.reprojection import make_test_cases, residual_px

TEST_CASES = Path(__file__).parents[1] / "client_web" / "reprojection.json"


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return load_avatar(SHIPPED / "default")


def test_reprojection_at_least_halves_the_error(avatar: Avatar) -> None:
    error = residual_px(avatar, 2.0)
    assert error["as_it_is"] > 0.5
    assert error["ellipsoid"] < 0.5 * error["as_it_is"]
    assert error["ellipsoid"] < error["plane"] < error["as_it_is"]


def test_the_stored_test_cases_of_the_client_are_up_to_date(avatar: Avatar) -> None:
    # To update: scripts/benchmark.py reprojection --test-cases tests/client_web/reprojection.json
    stored, current = json.loads(TEST_CASES.read_text()), make_test_cases(avatar)
    for expected, case in zip(stored, current, strict=True):
        for eye in ("old", "now"):
            for part in ("position", "rotation"):
                assert expected[eye][part] == pytest.approx(case[eye][part], abs=1e-7)
        assert expected["fov_y_rad"] == case["fov_y_rad"]
        np.testing.assert_allclose(expected["points"], case["points"], atol=2e-6)
        np.testing.assert_allclose(expected["moved"], case["moved"], atol=2e-6)
