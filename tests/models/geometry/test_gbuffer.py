import numpy as np

from models.contract.frame_state import FrameState
from models.geometry.gbuffer import Window, render_gbuffer, render_gbuffer_plain
from models.geometry.head import Head

SIZE = 96


def test_the_fast_path_renders_as_the_plain_one(ball: Head, turned: FrameState) -> None:
    fast, plain = render_gbuffer(ball, turned, SIZE), render_gbuffer_plain(ball, turned, SIZE)
    np.testing.assert_array_equal(fast.surface[..., 0], plain.surface[..., 0])
    np.testing.assert_allclose(fast.uv, plain.uv, atol=1e-5)
    np.testing.assert_allclose(fast.surface, plain.surface, atol=1e-5)
    np.testing.assert_array_equal(fast.visible.corners, plain.visible.corners)
    np.testing.assert_allclose(fast.visible.weights, plain.visible.weights, atol=1e-5)
    np.testing.assert_allclose(fast.points, plain.points, atol=1e-5)


def test_a_window_is_a_crop_of_the_image(ball: Head, turned: FrameState) -> None:
    whole = render_gbuffer(ball, turned, SIZE)
    part = render_gbuffer(ball, turned, SIZE, Window(20, 30, 40, 50))
    np.testing.assert_array_equal(part.uv, whole.uv[20:60, 30:80])
    np.testing.assert_array_equal(part.surface, whole.surface[20:60, 30:80])
    np.testing.assert_array_equal(part.visible.corners, whole.visible.corners[10:30, 15:40])
    np.testing.assert_array_equal(part.points, whole.points)


def test_visible_points_are_at_the_pixels_that_see_them(ball: Head, turned: FrameState) -> None:
    buffers = render_gbuffer(ball, turned, SIZE)
    corners = buffers.points[buffers.visible.corners]
    position = (buffers.visible.weights[..., None] * corners).sum(axis=2)
    rows, columns = np.nonzero(buffers.visible.weights.sum(axis=2) > 0.5)
    assert len(rows) > 200
    x, y, z = position[rows, columns].T
    # A pixel's centre, one of four.
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
    assert set(np.unique(coverage * 16)) <= set(range(17))
    assert (coverage[covered] >= 0.25).all()
    assert (coverage[~covered] <= 0.75).all()
    row = coverage[SIZE // 2]
    left = np.argmax(row > 0)
    np.testing.assert_array_equal(row[left : left + 3], [0.25, 0.75, 1])  # a vertical outline
