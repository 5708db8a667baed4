from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.avatar.folder import SHIPPED
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.camera import quaternion_to_matrix
from models.geometry.head import Head, HeadError, vertex_normals
from models.geometry.head_file import load_head

SHIPPED_HEAD = SHIPPED / "default" / "head.npz"


def test_the_neutral_state_leaves_vertices_unchanged(ball: Head, front: FrameState) -> None:
    np.testing.assert_allclose(ball.pose(front), ball.neutral, atol=1e-6)


def test_the_head_rotates_and_the_body_translates_with_the_neck(
    ball: Head, turned: FrameState
) -> None:
    state = replace(turned, expression=np.zeros(4, np.float32))
    posed, rotation = ball.pose(state), quaternion_to_matrix(state.head_rotation)
    head, body = ball.weights[:, 1] == 1, ball.weights[:, 0] == 1
    expected = ball.neutral[head] @ rotation.T + state.head_translation
    np.testing.assert_allclose(posed[head], expected, atol=1e-6)
    shift = rotation @ ball.neck + state.head_translation - ball.neck
    np.testing.assert_allclose(posed[body], ball.neutral[body] + shift, atol=1e-6)


def test_the_jaw_swings_down_about_its_joint(ball: Head, front: FrameState) -> None:
    posed = ball.pose(replace(front, expression=np.array([1, 0, 0, 0], np.float32)))
    jaw = ball.weights[:, 2] == 1
    chin = jaw & (ball.neutral[:, 2] > 0.05)
    assert (posed[chin, 1] < ball.neutral[chin, 1]).all()
    np.testing.assert_array_equal(posed[~jaw], ball.pose(front)[~jaw])
    for verts in (posed, ball.neutral):
        np.testing.assert_allclose(
            np.linalg.norm(verts[jaw] - ball.joint_positions[2], axis=1),
            np.linalg.norm(ball.neutral[jaw] - ball.joint_positions[2], axis=1),
            atol=1e-6,
        )


@pytest.mark.parametrize(
    ("coefficient", "joint", "axis", "sign"), [(1, 3, 0, 1), (2, 4, 1, 1)], ids=["out", "up"]
)
def test_eyes_follow_their_coefficients(
    ball: Head, front: FrameState, coefficient: int, joint: int, axis: int, sign: int
) -> None:
    expression = np.zeros(4, np.float32)
    expression[coefficient] = 1
    posed = ball.pose(replace(front, expression=expression))
    gaze = np.argmax(np.where(ball.weights[:, joint] == 1, ball.neutral[:, 2], -1))
    assert (posed[gaze, axis] - ball.neutral[gaze, axis]) * sign > 0.005


def test_given_vertices_are_transformed_rigidly(ball: Head, turned: FrameState) -> None:
    given = ball.neutral * np.float32(1.5)
    posed = ball.pose(replace(turned, vertices=given))
    rotation = quaternion_to_matrix(turned.head_rotation)
    np.testing.assert_allclose(posed, given @ rotation.T + turned.head_translation, atol=1e-6)


def test_wrong_shapes_are_refused_with_both_shapes(ball: Head, front: FrameState) -> None:
    with pytest.raises(HeadError, match=r"expression must be \(4,\), got \(7,\)"):
        ball.pose(replace(front, expression=np.zeros(7, np.float32)))
    with pytest.raises(HeadError, match=r"vertices must be \(642, 3\), got \(5, 3\)"):
        ball.pose(replace(front, vertices=np.zeros((5, 3), np.float32)))


def test_normals_of_a_ball_point_outwards(ball: Head) -> None:
    normals = vertex_normals(ball.neutral, ball.faces)
    np.testing.assert_allclose(normals, ball.neutral / 0.1, atol=0.02)


class TestShippedHead:
    head = load_head(SHIPPED_HEAD)

    def test_it_has_the_52_arkit_names(self) -> None:
        assert len(self.head.expression_names) == 52
        assert {"jawOpen", "eyeBlinkLeft", "tongueOut"} <= set(self.head.expression_names)

    def test_its_eyes_close(self) -> None:
        """At eyeBlink = 1 the lids' edges meet: some of the upper lid moves down by over 5 mm."""
        moved = self._moved("eyeBlinkLeft")
        assert moved[:, 1].min() < -0.005
        other_eye = (self.head.neutral[:, 0] < -0.015) & (self.head.neutral[:, 1] > -0.02)
        assert np.abs(moved[other_eye]).max() < 0.002

    def test_its_jaw_opens(self) -> None:
        assert self._moved("jawOpen")[:, 1].min() < -0.015

    def test_its_surface_faces_outwards(self) -> None:
        state = neutral_state(52, (0, 0, 0.8), 0.5)
        verts = self.head.pose(state)
        corners = verts[self.head.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        volume = (corners.mean(axis=1) * normals).sum() / 6
        assert volume > 0.002  # cubic metres; negative for faces that point inwards

    def _moved(self, name: str) -> np.ndarray:
        expression = np.zeros(52, np.float32)
        expression[self.head.expression_names.index(name)] = 1
        return self.head.shape(expression) - self.head.shape(np.zeros(52, np.float32))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"faces": None}, "lacks faces"),
        ({"faces": np.array([[0, 1, 99999]], np.int32)}, "faces must index|uv_faces must be"),
        ({"weights": np.zeros((3, 5), np.float32)}, "weights must be"),
        ({"joint_names": np.array(["a", "b", "c", "d", "e"])}, "joint_names must be"),
    ],
    ids=["missing", "index", "shape", "names"],
)
def test_a_damaged_head_file_is_refused(
    tmp_path: Path, damage: dict[str, np.ndarray | None], message: str
) -> None:
    with np.load(SHIPPED_HEAD) as file:
        arrays = {**{name: file[name] for name in file.files}, **damage}
    path = tmp_path / "head.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(HeadError, match=message):
        load_head(path)


def test_a_file_that_is_not_a_head_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    path.write_bytes(b"not a head")
    with pytest.raises(HeadError, match="not a readable head file"):
        load_head(path)
