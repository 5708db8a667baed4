"""The virtual camera against a projection of the same points by the real one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.capture.frame_fit import Camera, Pose, project
from models.capture.tracker import Track
from models.capture.world import Crop, World, choose_crop, place_world
from models.geometry.camera import quaternion_to_matrix, to_screen
from models.heads.meshes import Floats

CAMERA = Camera(420.0, 200.0, 150.0)


@pytest.fixture
def world() -> World:
    tilt = Rotation.from_euler("YXZ", [8, -12, 3], degrees=True).as_matrix()
    return World(CAMERA, Crop(230.0, 110.0, 180.0), 320, tilt, np.array([0.05, 0.02, -0.62]))


def head_points() -> Floats:
    return np.random.default_rng(1).uniform(-0.1, 0.1, (50, 3))


def test_the_virtual_image_is_a_homography_of_the_real_one(world: World) -> None:
    turn = Rotation.from_euler("YX", [15, -5], degrees=True).as_matrix()
    pose = Pose(turn, np.array([0.02, -0.03, -0.55]), np.zeros(52))
    points = head_points()
    real = project(points @ pose.rotation.T + pose.translation, CAMERA)
    state = world.state(pose)
    placed = points @ quaternion_to_matrix(state.head_rotation).T + state.head_translation
    virtual = to_screen(placed, state, world.size, world.size)[:, :2]
    mapped = np.column_stack([virtual, np.ones(len(virtual))]) @ world.homography().T
    np.testing.assert_allclose(mapped[:, :2] / mapped[:, 2:], real, atol=0.01)


def test_the_image_is_warped_by_the_homography(world: World) -> None:
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[105:116, 225:236] = 255  # around the middle of the crop
    seen = world.view(frame)
    rows, columns = np.nonzero(seen[..., 0] > 128)
    assert rows.mean() + 0.5 == pytest.approx(160, abs=2)
    assert columns.mean() + 0.5 == pytest.approx(160, abs=2)


def track_of(x: float, y: float, width: float) -> Track:
    """Return the track of a face at a constant position."""
    spread = np.random.default_rng(0).uniform(-0.5, 0.5, (478, 2))
    spread[0], spread[1] = (-0.5, -0.5), (0.5, 0.5)
    points = np.tile(np.array([x, y]) + spread * width, (4, 1, 1)).astype(np.float32)
    return Track(
        points, np.zeros((4, 52), np.float32), np.tile(np.eye(3, dtype=np.float32), (4, 1, 1))
    )


def test_the_crop_stays_inside_the_frame() -> None:
    for x, y in ((30, 40), (390, 290), (200, 150)):
        crop = choose_crop(track_of(x, y, 60), 400, 300)
        assert crop.side / 2 <= crop.x <= 400 - crop.side / 2
        assert crop.side / 2 <= crop.y <= 300 - crop.side / 2
        assert crop.side > 2 * 60
    assert choose_crop(track_of(200, 150, 200), 400, 300).side == 300


def test_the_mean_orientation_of_the_head_is_upright_in_world_space() -> None:
    low = Rotation.from_euler("X", -14, degrees=True).as_matrix()  # a camera below the face
    poses = [
        Pose(low @ Rotation.from_euler("Y", yaw, degrees=True).as_matrix(),
             np.array([0, 0, -0.6]), np.zeros(52))
        for yaw in (-10, 0, 10)
    ]  # fmt: skip
    world = place_world(CAMERA, poses, track_of(200, 150, 60), 400, 300, 320)
    turned = quaternion_to_matrix(world.state(poses[1]).head_rotation)
    np.testing.assert_allclose(turned, np.eye(3), atol=1e-3)
    x, _, z = world.default_view()
    assert x == 0
    assert z == pytest.approx(0.6, abs=0.01)
