"""Fitting pose, coefficients and shape to landmarks with known ground truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.capture.correspondence import similarity
from models.capture.face_model import FaceModel, Identity, average_identity, face_model
from models.capture.frame_fit import Camera, Pose, fit_frame, project
from models.capture.identity import (
    FACE_WIDTH_PX,
    Observations,
    fit_person,
    fit_poses,
    fit_weights,
    smoothness,
    turned_as_tracked,
)
from models.capture.landmarks import FACE_POINTS, IRISES, LIDS, LIPS
from models.capture.shape_space import load_shape_space
from models.heads.meshes import Floats

CAMERA = Camera(420.0, 200.0, 150.0)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return face_model(load_shape_space())


def expression(model: FaceModel, **values: float) -> Floats:
    coefficients = np.zeros(len(model.names))
    for name, value in values.items():
        coefficients[model.names.index(name)] = value
    return coefficients


def projected(model: FaceModel, rest: Floats, pose: Pose) -> Floats:
    points = (rest + model.expressions @ pose.expression) @ pose.rotation.T + pose.translation
    return project(points, CAMERA)


def turned(yaw: float, pitch: float, roll: float) -> Floats:
    matrix: Floats = Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True).as_matrix()
    return matrix


def degrees_apart(one: Floats, other: Floats) -> float:
    return float(np.degrees(Rotation.from_matrix(one.T @ other).magnitude()))


def millimetres_apart(shape: Floats, truth: Floats) -> float:
    """Return the mean distance after the best similarity, which images do not determine."""
    scale, rotation, shift = similarity(shape, truth)
    moved = scale * shape @ rotation.T + shift
    return float(1000 * np.linalg.norm(moved - truth, axis=1).mean())


def test_pose_and_expression_are_recovered_without_noise(model: FaceModel) -> None:
    truth = Pose(
        turned(20, -8, 5),
        np.array([0.03, -0.02, -0.6]),
        expression(model, jawOpen=0.5, eyeBlinkLeft=0.7, mouthSmileRight=0.4, eyeLookUpRight=0.3),
    )
    rest = model.at_rest(average_identity(load_shape_space()))
    start = Pose(turned(10, 0, 0), np.array([0.0, 0.0, -0.7]), np.zeros(len(model.names)))
    # The prior is far from the truth; without noise it may bias the result slightly.
    weights = fit_weights(model.names)
    weights = weights._replace(prior=weights.prior * 1e-3)
    fit = fit_frame(
        rest, model.expressions, projected(model, rest, truth), weights, CAMERA, start,
        np.zeros(len(model.names)), 10,
    )  # fmt: skip
    assert degrees_apart(fit.rotation, truth.rotation) < 0.05
    np.testing.assert_allclose(fit.translation, truth.translation, atol=5e-4)
    # Looking in and looking out cancel each other: only their difference is visible.
    found = dict(zip(model.names, fit.expression, strict=True))
    for side in ("Left", "Right"):
        both = min(found[f"eyeLookIn{side}"], found[f"eyeLookOut{side}"])
        found[f"eyeLookIn{side}"] -= both
        found[f"eyeLookOut{side}"] -= both
    np.testing.assert_allclose(list(found.values()), truth.expression, atol=0.05)


def test_coefficients_stay_within_their_range(model: FaceModel) -> None:
    rest = model.at_rest(average_identity(load_shape_space()))
    pose = Pose(np.eye(3), np.array([0, 0, -0.6]), expression(model, jawOpen=1.0) * 1.6)
    fit = fit_frame(
        rest, model.expressions, projected(model, rest, pose), fit_weights(model.names), CAMERA,
        Pose(np.eye(3), np.array([0, 0, -0.6]), np.zeros(len(model.names))),
        np.zeros(len(model.names)), 8,
    )  # fmt: skip
    assert fit.expression.min() >= 0
    assert fit.expression.max() <= 1
    assert fit.expression[model.names.index("jawOpen")] > 0.95


def test_one_wrong_landmark_hardly_moves_the_head(model: FaceModel) -> None:
    rest = model.at_rest(average_identity(load_shape_space()))
    truth = Pose(turned(5, 2, 0), np.array([0, 0, -0.6]), np.zeros(len(model.names)))
    observed = projected(model, rest, truth)
    observed[1] += 60  # the tip of the nose, occluded by a hand
    fit = fit_frame(
        rest, model.expressions, observed, fit_weights(model.names), CAMERA, truth,
        truth.expression, 8,
    )  # fmt: skip
    assert degrees_apart(fit.rotation, truth.rotation) < 0.5


def test_the_shape_of_a_person_is_fitted_to_key_frames(model: FaceModel) -> None:
    """The fit predicts new frames, and its shape has a fraction of the average head's error."""
    space, random = load_shape_space(), np.random.default_rng(3)
    shapes = np.zeros(len(space.names))
    for name in ("gender", "nose-width1-incr", "chin-prominent-incr", "mouth-scale-horiz-incr"):
        shapes[space.names.index(name)] = random.uniform(0.4, 0.8)
    rest = model.at_rest(Identity(shapes, np.zeros((FACE_POINTS, 3))))
    count = 12
    poses = [
        Pose(
            turned(random.uniform(-25, 25), random.uniform(-10, 10), 0),
            np.array([0.01, 0.02, -0.6]),
            random.uniform(0, 0.4, len(model.names)) * (random.random(len(model.names)) < 0.2),
        )
        for _ in range(count)
    ]
    points = np.array([projected(model, rest, pose) for pose in poses])
    points += random.normal(0, 0.2, points.shape)
    width = np.median(np.ptp(points[:, :FACE_POINTS, 0], axis=1))
    scale = width / FACE_WIDTH_PX
    observed = Observations(
        points / scale,
        np.array([pose.expression for pose in poses]),
        np.array([pose.rotation for pose in poses]),
        (400 / scale, 300 / scale),
        float(scale),
    )
    frames = np.arange(count)
    shares: list[float] = []
    person = fit_person(
        model, observed, frames[:8], space.triangles, average_identity(space), shares.append, 1.05
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1
    fitted = list(fit_poses(model, person, observed, frames[8:].tolist()))
    errors = np.array([error for _, _, error in fitted])
    assert np.median(errors) < 0.35  # noise alone: 0.24
    # A pitch that all frames share is ambiguous with the shape: compare rotations between frames.
    (first, reference, _), *others = fitted
    for frame, pose, _ in others:
        turn = reference.rotation.T @ pose.rotation
        assert degrees_apart(turn, poses[first].rotation.T @ poses[frame].rotation) < 0.8
    expected = rest[:FACE_POINTS]
    fit_mm = millimetres_apart(model.at_rest(person.identity)[:FACE_POINTS], expected)
    average_mm = millimetres_apart(model.average[:FACE_POINTS], expected)
    assert fit_mm < 0.7 * average_mm
    assert fit_mm < 0.8


def test_rotations_between_key_frames_equal_those_of_the_tracker(model: FaceModel) -> None:
    """A fit that rotates a quarter too far is corrected; its mean orientation and fit are kept."""
    identity = average_identity(load_shape_space())
    rest = model.at_rest(identity)
    yaws, depth = (-20.0, 0.0, 20.0), np.array([0.01, -0.02, -0.6])
    truth = [Pose(turned(yaw, 0, 0), depth, np.zeros(len(model.names))) for yaw in yaws]
    tracked = np.array([pose.rotation @ turned(0, 6, 0) for pose in truth])
    points = np.array([projected(model, rest, pose) for pose in truth])
    observed = Observations(points, np.zeros((3, len(model.names))), tracked, (400, 300), 1.0)
    rotated_too_far = [
        Pose(turned(1.25 * yaw, 0, 0), depth + np.array([0.01, 0, 0.02]), pose.expression)
        for yaw, pose in zip(yaws, truth, strict=True)
    ]
    corrected = turned_as_tracked(
        model, observed, np.arange(3), rotated_too_far, CAMERA, identity, fit_weights(model.names)
    )
    for pose, true in zip(corrected, truth, strict=True):
        assert degrees_apart(pose.rotation, true.rotation) < 0.3
        np.testing.assert_allclose(pose.translation, true.translation, atol=2e-3)


def test_smooth_offsets_cost_less_than_rough_ones() -> None:
    cost = smoothness(load_shape_space().triangles)
    even = np.tile([0.001, 0, 0], FACE_POINTS)
    rough = even * np.where(np.arange(len(even)) % 2, 1, -1)
    rough[::9] *= -1
    assert even @ cost @ even < 0.05 * (rough @ cost @ rough)


def test_landmarks_lie_on_the_face() -> None:
    space = load_shape_space()
    points = space.landmarks.on(space.source.verts)
    assert points[4, 2] == pytest.approx(points[:, 2].max(), abs=0.004)  # the tip of the nose
    assert abs(points[list(LIDS), 1]).max() < 0.02  # the origin lies between the eyes
    assert points[list(LIPS), 1].max() < points[4, 1]
    assert points[152, 1] == pytest.approx(points[:, 1].min(), abs=0.005)  # the chin
    # Pairs that are symmetric in MediaPipe's face are symmetric here too.
    for right, left in ((33, 263), (61, 291), (234, 454), (133, 362)):
        np.testing.assert_allclose(points[right] * [-1, 1, 1], points[left], atol=0.002)
    assert len(IRISES) == 2
