"""Where the face is in a frame, from its pose alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.avatar.folder import SHIPPED
from models.avatar.manifest import load_manifest
from models.contract.frame_state import FACE_CENTRE_M, FrameState, Rectangle, neutral_state
from models.data.motion import Expressions, Motion
from models.geometry.camera import quaternion_to_matrix, rotation_vector_to_quaternion, to_screen
from models.geometry.head_file import load_head
from models.geometry.rasterizer import SUBPIXELS, project

SIZE = 320
_MOVED_M = 2e-3


def facing(**changes: object) -> FrameState:
    return replace(neutral_state(52, (0.0, 0.0, 0.78), 0.4), **changes)  # type: ignore[arg-type]


def test_the_middle_is_the_projected_centre_of_the_face() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        state = facing(
            fov_y_rad=0.8,  # wide enough that no border cuts the face
            head_rotation=rotation_vector_to_quaternion(random.normal(0, 0.3, 3)),
            eye_rotation=rotation_vector_to_quaternion(random.normal(0, 0.03, 3)),
            head_translation=random.normal(0, 0.02, 3).astype(np.float32),
        )
        centre = quaternion_to_matrix(state.head_rotation) @ FACE_CENTRE_M + state.head_translation
        x, y, _ = to_screen(centre[None], state, SIZE, SIZE)[0]
        face = state.face_rectangle(SIZE)
        assert face is not None
        assert (face.left + face.right) / 2 == pytest.approx(x, abs=1)
        assert (face.top + face.bottom) / 2 == pytest.approx(y, abs=1)


@pytest.mark.parametrize("avatar", ["default", "marcus", "greta"])
def test_it_contains_most_of_what_expressions_move(avatar: str) -> None:
    head, manifest = load_head(SHIPPED / avatar / "head.npz"), load_manifest(SHIPPED / avatar)
    moves = np.linalg.norm(head.deltas.reshape(len(head.deltas), -1, 3), axis=2).max(axis=0)
    on_face = (moves > _MOVED_M) & (head.weights[:, 0] < 0.5)
    motion = Motion(head.neck, np.array(manifest.eye_position), manifest.fov_y_rad)
    expressions, random = Expressions(manifest.expression_names), np.random.default_rng(2)
    for _ in range(8):
        for state in motion.sequence(random, expressions.random(random, 24))[::12]:
            points = project(head.pose(state), state, SIZE, SIZE)[0][on_face] / SUBPIXELS
            face = state.face_rectangle(SIZE)
            assert face is not None
            inside = (points >= (face.left, face.top)) & (points < (face.right, face.bottom))
            visible = ((points >= 0) & (points < SIZE)).all(axis=1)
            assert inside.all(axis=1)[visible].mean() > 0.8


def test_it_ends_at_the_borders_of_the_frame() -> None:
    face = facing(eye_position=np.array([0.15, 0, 0.78], np.float32)).face_rectangle(SIZE)
    assert face is not None
    assert face.left == 0 < face.right < SIZE
    near = facing(eye_position=np.array([0, -0.045, 0.1], np.float32)).face_rectangle(SIZE)
    assert near == Rectangle(0, 0, SIZE, SIZE)


def test_there_is_none_beside_the_frame_and_behind_the_eye() -> None:
    assert facing(eye_position=np.array([0.5, 0, 0.78], np.float32)).face_rectangle(SIZE) is None
    assert facing(eye_position=np.array([0, 0, -0.5], np.float32)).face_rectangle(SIZE) is None
