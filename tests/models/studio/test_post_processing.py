"""Crevices, subsurface scattering, sample reduction and exposure, on surfaces of known result."""

from __future__ import annotations

import numpy as np

from models.studio.post_processing import expose, find_crevices, reduce_samples, scatter

FOCAL = 1900.0
DISTANCE = 0.8


def slope(size: int = 96) -> np.ndarray:
    """Return the inverse depth of a tilted plane."""
    _, x = np.mgrid[0:size, 0:size].astype(np.float32)
    depth: np.ndarray = (1 / (DISTANCE + 0.0002 * (x - size / 2))).astype(np.float32)
    return depth


def test_a_tilted_plane_has_no_crevices() -> None:
    crevices = find_crevices(slope(), FOCAL)
    assert crevices.shape == (48, 48)
    assert crevices[12:-12, 12:-12].min() > 0.97


def test_a_groove_is_darker_than_its_surroundings() -> None:
    inverse_depth = slope()
    inverse_depth[:, 46:50] = 1 / (1 / inverse_depth[:, 46:50] + 0.002)
    crevices = find_crevices(inverse_depth, FOCAL)
    assert crevices[24, 24] < 0.8
    assert crevices[24, 8] > 0.95


def test_light_scatters_across_the_edge_of_a_shadow_and_red_the_furthest() -> None:
    inverse_depth = slope()
    received = np.zeros((96, 96, 3), np.float32)
    received[:, 48:] = 1
    out = scatter(received, inverse_depth, np.ones((96, 96), bool), FOCAL)
    red, green, blue = out[48, 44]
    assert red > green > blue
    assert red > 0.05
    assert np.abs(out[48, 90] - 1).max() < 0.01
    # Pixels that are not skin neither emit nor receive scattered light.
    skin = np.zeros((96, 96), bool)
    skin[:, :48] = True
    assert np.array_equal(scatter(received, inverse_depth, skin, FOCAL), received)


def test_light_does_not_scatter_across_a_step_in_depth() -> None:
    inverse_depth = slope()
    inverse_depth[:, 48:] = 1 / (DISTANCE - 0.03)
    received = np.zeros((96, 96, 3), np.float32)
    received[:, 48:] = 1
    assert scatter(received, inverse_depth, np.ones((96, 96), bool), FOCAL)[:, :48].max() == 0


def test_reducing_keeps_even_areas_and_blurs_an_edge_over_two_pixels() -> None:
    for supersample in (1, 2, 3, 4):
        samples = np.zeros((16 * supersample, 16 * supersample, 1), np.float32)
        samples[:, 8 * supersample :] = 1
        row = reduce_samples(samples, 16)[8, :, 0]
        np.testing.assert_allclose(row[:7], 0, atol=1e-6)
        np.testing.assert_allclose(row[9:], 1, atol=1e-6)
        np.testing.assert_allclose(row[7] + row[8], 1, atol=1e-5)


def test_exposure_is_black_without_light_and_within_its_range() -> None:
    triangle = np.zeros((2, 2), np.int32)
    triangle[1, 1] = -1
    one = np.full((2, 2, 3), 50, np.float32)
    bright = expose(one, one, one, triangle)
    assert bright[0, 0].max() <= 1
    assert bright[0, 0].min() > 0.95
    assert bright[1, 1].max() == 0
    assert expose(one, 0 * one, 0 * one, triangle).max() < 1e-3
