import numpy as np

from models.contract.frame_state import FrameState
from models.geometry.gbuffer import (
    SOFT_MAX,
    Window,
    pose_geometry,
    render_gbuffer,
    render_gbuffer_plain,
)
from models.geometry.head import Head
from models.geometry.rasterizer_numba import rasterize

SIZE = 96


def test_the_fast_path_equals_the_plain_one(ball: Head, turned: FrameState) -> None:
    fast, plain = render_gbuffer(ball, turned, SIZE), render_gbuffer_plain(ball, turned, SIZE)
    np.testing.assert_array_equal(fast.surface[..., 0], plain.surface[..., 0])
    np.testing.assert_array_equal(fast.blend, plain.blend)
    np.testing.assert_allclose(fast.uv, plain.uv, atol=1e-5)
    np.testing.assert_allclose(fast.surface, plain.surface, atol=1e-5)
    np.testing.assert_array_equal(fast.visible.corners, plain.visible.corners)
    np.testing.assert_allclose(fast.visible.weights, plain.visible.weights, atol=1e-5)
    np.testing.assert_allclose(fast.points, plain.points, atol=1e-5)


def test_a_window_is_a_crop_of_the_image(ball: Head, turned: FrameState) -> None:
    whole = render_gbuffer(ball, turned, SIZE)
    crop = render_gbuffer(ball, turned, SIZE, Window(20, 30, 40, 50))
    np.testing.assert_array_equal(crop.uv, whole.uv[20:60, 30:80])
    np.testing.assert_array_equal(crop.surface, whole.surface[20:60, 30:80])
    np.testing.assert_array_equal(crop.blend, whole.blend[20:60, 30:80])
    np.testing.assert_array_equal(crop.visible.corners, whole.visible.corners[10:30, 15:40])
    np.testing.assert_array_equal(crop.points, whole.points)


def test_visible_points_project_to_the_pixels_that_show_them(
    ball: Head, turned: FrameState
) -> None:
    buffers = render_gbuffer(ball, turned, SIZE)
    corners = buffers.points[buffers.visible.corners]
    position = (buffers.visible.weights[..., None] * corners).sum(axis=2)
    rows, columns = np.nonzero(buffers.visible.weights.sum(axis=2) > 0.5)
    assert len(rows) > 200
    x, y, z = position[rows, columns].T
    # Each point lies at the centre of one of the four pixels of its cell.
    np.testing.assert_allclose(np.abs(x / z - columns - 0.5), 0.25, atol=1e-3)
    np.testing.assert_allclose(np.abs(y / z - rows - 0.5), 0.25, atol=1e-3)


def test_the_middle_of_a_ball_faces_the_eye(ball: Head, front: FrameState) -> None:
    surface = render_gbuffer(ball, front, SIZE).surface[SIZE // 2, SIZE // 2]
    np.testing.assert_allclose(surface, [1, 0, 0, 1, 0, 0, 1, 1], atol=0.05)


def test_reflection_vectors_mirror_the_view_direction_at_the_normal(
    ball: Head, turned: FrameState
) -> None:
    surface = render_gbuffer(ball, turned, SIZE).surface
    covered = surface[np.any(surface[..., 1:4] != 0, axis=-1)]
    np.testing.assert_allclose(np.linalg.norm(covered[:, 4:7], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        (covered[:, 1:4] * covered[:, 4:7]).sum(axis=1), covered[:, 7], atol=1e-5
    )


def test_coverage_is_soft_across_the_outline_only(ball: Head, front: FrameState) -> None:
    buffers = render_gbuffer(ball, front, SIZE)
    coverage, covered = buffers.surface[..., 0], np.any(buffers.surface[..., 1:4] != 0, axis=-1)
    assert set(np.unique(np.round(coverage * SOFT_MAX, 3))) <= set(range(SOFT_MAX + 1))
    assert (coverage[covered] >= 0.25).all()
    assert (coverage[~covered] <= 0.75).all()
    row = coverage[SIZE // 2]
    left = np.argmax(row > 0)
    # A vertical outline at a fraction of a pixel from the pixel centres.
    assert (np.diff(row[left : left + 3]) > 0).all()


def test_the_coverage_of_pixels_at_an_outline_is_the_area_that_the_head_covers(
    ball: Head, turned: FrameState
) -> None:
    samples = 16
    geometry = pose_geometry(ball, turned, SIZE * samples)
    fine = rasterize(
        geometry.xy, geometry.inverse_depth, ball.faces, SIZE * samples, SIZE * samples
    )
    area = fine.mask.reshape(SIZE, samples, SIZE, samples).mean(axis=(1, 3))
    tent = np.pad(area, 1, mode="edge")
    tent = tent[:, :-2] / 4 + tent[:, 1:-1] / 2 + tent[:, 2:] / 4
    expected = tent[:-2] / 4 + tent[1:-1] / 2 + tent[2:] / 4
    soft = render_gbuffer(ball, turned, SIZE).surface[..., 0]
    outline = (area > 0) & (area < 1)
    assert outline.sum() > 100
    # The same filter of hard coverage is off by up to 0.20, and by 0.061 on average.
    assert np.abs(soft - expected)[outline].max() < 0.13
    assert np.abs(soft - expected)[outline].mean() < 0.012
