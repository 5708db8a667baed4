"""The background plate and the exposure of frames."""

from __future__ import annotations

import numpy as np
import pytest

from models.capture.plate import (
    Bytes,
    at_plate_exposure,
    exposure_gain,
    exposure_steps,
    make_plate,
)

WALL = np.random.default_rng(4).integers(60, 180, (64, 64, 3), np.uint8)


def walking(step: int) -> tuple[Bytes, Bytes]:
    """Return a frame of a bright person who walks along the wall, and the matte."""
    frame, matte = WALL.copy(), np.zeros((64, 64), np.uint8)
    part = np.s_[20:, 4 + step : 20 + step]
    frame[part], matte[part] = 240, 255
    return frame, matte


def test_the_wall_behind_a_moving_person_is_recovered() -> None:
    frames, mattes = zip(*(walking(step) for step in range(0, 40, 4)), strict=True)
    plate = make_plate(frames, mattes)
    assert plate.seen.all()
    np.testing.assert_array_equal(plate.rgb, WALL)


def test_pixels_that_a_person_always_hides_are_filled() -> None:
    frames, mattes = zip(*(walking(step) for step in (0, 1, 2)), strict=True)
    plate = make_plate(frames, mattes)
    assert not plate.seen[40, 12]
    assert 60 <= plate.rgb[40, 12].mean() <= 180


def test_the_gain_of_each_channel_is_estimated_and_removed() -> None:
    frames, mattes = zip(*(walking(step) for step in range(0, 40, 4)), strict=True)
    plate = make_plate(frames, mattes)
    warm = np.clip(frames[3] * np.array([1.2, 1.0, 0.85]), 0, 255).astype(np.uint8)
    gain = exposure_gain(warm, mattes[3], plate)
    np.testing.assert_allclose(gain, [1.2, 1.0, 0.85], atol=0.02)
    even = at_plate_exposure(warm, gain)
    wall = mattes[3] == 0
    assert np.abs(even[wall].astype(int) - WALL[wall]).mean() < 1.5


def test_a_hidden_background_keeps_the_exposure() -> None:
    frame, matte = WALL.copy(), np.full((64, 64), 255, np.uint8)
    plate = make_plate([WALL], [np.zeros((64, 64), np.uint8)])
    assert exposure_gain(frame, matte, plate) == pytest.approx(np.ones(3))


def test_jumps_of_the_exposure_are_counted() -> None:
    gains = np.ones((30, 3))
    gains[10:20] = 1.2
    assert exposure_steps(gains) == 2
    assert exposure_steps(np.linspace(1, 1.3, 30)[:, None] * np.ones(3)) == 0
