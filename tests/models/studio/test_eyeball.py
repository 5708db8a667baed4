"""Optics of the eyes of the shipped head."""

from __future__ import annotations

import numpy as np
import pytest

from models.avatar.folder import SHIPPED
from models.geometry.head import Head
from models.geometry.head_file import load_head
from models.studio.atlas import load_studio_data
from models.studio.eyeball import ON_IRIS, Eyeballs, refract_into_iris, tilt_by_cornea

HEAD_FILE = SHIPPED / "default" / "head.npz"


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head(HEAD_FILE)


@pytest.fixture(scope="module")
def eyeballs(head: Head) -> Eyeballs:
    return Eyeballs(head, load_studio_data(HEAD_FILE))


def track(head: Head, eyeballs: Eyeballs, **coefficients: float) -> np.ndarray:
    expression = np.zeros(len(head.expression_names), np.float32)
    for name, value in coefficients.items():
        expression[head.expression_names.index(name)] = value
    return eyeballs.track(head.shape(expression), head.joint_positions[3:5].astype(np.float64))


def test_axes_are_orthogonal_and_point_forwards(head: Head, eyeballs: Eyeballs) -> None:
    for ball in track(head, eyeballs):
        axes = ball[3:12].reshape(3, 3)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-5)
        assert axes[0, 0] > 0.95
        assert axes[1, 1] > 0.95
        assert axes[2, 2] > 0.95
        assert 0.010 < ball[12] < 0.020


def test_axes_follow_the_gaze(head: Head, eyeballs: Eyeballs) -> None:
    rest, left = track(head, eyeballs), track(head, eyeballs, eyeLookOutLeft=1.0)
    turned = np.arccos(rest[0, 9:12] @ left[0, 9:12])
    assert turned == pytest.approx(head.eye_yaw_rad, abs=0.02)
    assert left[0, 9] > rest[0, 9]
    np.testing.assert_allclose(rest[1], left[1], atol=1e-6)


def look_at_the_pupil(ball: np.ndarray, aside: float) -> tuple[np.ndarray, float]:
    """Return the UV and the cornea share at the pole, seen from `aside` radians to the right."""
    pole = ball[:3] + ball[12] * ball[9:12]
    normal, facing = ball[9:12].copy(), np.zeros(3)
    x, y, z = pole
    share = tilt_by_cornea(x, y, z, ball, normal)
    view = np.cos(aside) * ball[9:12] + np.sin(aside) * ball[3:6]
    u, v = refract_into_iris(x, y, z, ball, normal, view, facing)
    return np.array([u, v]), share


def test_the_pole_shows_the_pupil_from_the_front_and_the_iris_from_the_side(
    head: Head, eyeballs: Eyeballs
) -> None:
    ball = track(head, eyeballs)[0]
    seen, share = look_at_the_pupil(ball, 0.0)
    assert share > ON_IRIS
    np.testing.assert_allclose(seen, ball[13:15], atol=1e-5)
    # The iris lies behind the cornea: from the right, its left part is visible there.
    aside, _ = look_at_the_pupil(ball, 0.6)
    assert (aside - seen) @ ball[15:17] < 0


def test_normals_of_the_cornea_tilt_more_than_those_of_the_ball(
    head: Head, eyeballs: Eyeballs
) -> None:
    ball = track(head, eyeballs)[0]
    for angle, cornea in ((0.2, True), (0.6, False)):
        direction = np.cos(angle) * ball[9:12] + np.sin(angle) * ball[3:6]
        normal = direction.copy()
        x, y, z = ball[:3] + ball[12] * direction
        share = tilt_by_cornea(x, y, z, ball, normal)
        assert (share > ON_IRIS) == cornea
        tilt = np.arccos(normal @ ball[9:12])
        assert tilt > angle + 0.1 if cornea else tilt == pytest.approx(angle)
