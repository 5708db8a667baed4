"""The fit of a rendered video against its ground truth: pose, shape and coefficients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.capture.clip import open_clip
from models.capture.correspondence import closest_points, similarity
from models.capture.face_model import face_model
from models.capture.fitting import FittingStages, Poses, load_person, load_poses
from models.capture.landmarks import FACE_POINTS
from models.capture.shape_space import load_shape_space
from models.geometry.head_file import load_head
from models.heads.meshes import Floats, Ints
from models.studio.materials import SKIN
from tests.models.capture.phone_video import BLINK, HEAD, MOUTH, SMILE, PhoneVideo


def ignore_progress(share: float, message: str) -> None:
    """Ignore the progress."""


@pytest.fixture(scope="module")
def folder(
    phone_video: PhoneVideo, landmarker: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The results of all fitting stages."""
    folder = tmp_path_factory.mktemp("fit")
    stages = FittingStages(open_clip(phone_video.path), folder, landmarker, anyway=True)
    for stage in (stages.inspect, stages.track, stages.identity, stages.pose):
        stage(ignore_progress)
    return folder


@pytest.fixture(scope="module")
def poses(folder: Path) -> Poses:
    return load_poses(folder / "poses.npz")


def test_every_frame_is_used(poses: Poses) -> None:
    assert poses.usable.all()


def test_fitted_rotations_match_the_rendered_ones(phone_video: PhoneVideo, poses: Poses) -> None:
    truth = Rotation.from_quat([state.head_rotation for state in phone_video.states])
    fitted = Rotation.from_matrix(poses.rotations)
    # The neutral face has no orientation of its own: a rotation that all frames share is arbitrary.
    shared = (fitted * truth.inv()).mean()
    errors = np.degrees(((shared * truth).inv() * fitted).magnitude())
    assert np.median(errors) < 2.0
    assert errors.max() < 5.0


@pytest.mark.parametrize(("name", "most"), [(MOUTH, 0.12), (BLINK, 0.2), (SMILE, 0.2)])
def test_fitted_coefficients_match_the_rendered_ones(
    phone_video: PhoneVideo, poses: Poses, name: str, most: float
) -> None:
    names = load_shape_space().source.names
    truth = np.array([state.expression for state in phone_video.states])[:, names.index(name)]
    fitted = poses.expressions[:, names.index(name)]
    assert np.corrcoef(truth, fitted)[0, 1] > 0.87
    # The person's neutral expression is unknown: compare changes only.
    assert np.abs((fitted - fitted.min()) - (truth - truth.min())).mean() < most


def test_the_fitted_shape_matches_the_head(folder: Path) -> None:
    """Compare the mean distance of landmarks to the true surface after the best similarity."""
    model, person = face_model(load_shape_space()), load_person(folder / "person.npz")
    head = load_head(HEAD)
    with np.load(HEAD) as file:
        skin = head.faces[file["materials"] == SKIN].astype(np.int64)
    verts = head.neutral.astype(np.float64)
    points = model.at_rest(person.identity)[:FACE_POINTS]
    assert millimetres_to(points, verts, skin) < 1.8


def millimetres_to(points: Floats, verts: Floats, faces: Ints) -> float:
    """Return the mean distance of points to a surface, after fitting a similarity to it."""
    for _ in range(8):
        found = closest_points(points, verts, faces).on(verts)
        scale, rotation, shift = similarity(points, found)
        points = scale * points @ rotation.T + shift
    return float(1000 * np.linalg.norm(points - found, axis=1).mean())
