"""The studio renders the shipped head: motion, visibility and lights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.avatar.folder import SHIPPED
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.camera import look_at, rotation_vector_to_quaternion, to_screen
from models.geometry.head import Head, HeadError
from models.geometry.head_file import load_head
from models.geometry.rasterizer_numba import project, rasterize
from models.studio.appearance import Appearance
from models.studio.atlas import load_studio_data
from models.studio.materials import MATERIALS
from models.studio.studio import Studio, load_studio

HEAD_FILE = SHIPPED / "default" / "head.npz"
SIZE = 160


@pytest.fixture(scope="module")
def studio() -> Studio:
    return load_studio(HEAD_FILE, SIZE, texture_size=256)


@pytest.fixture(scope="module")
def front() -> FrameState:
    """The neutral head in the default view of its file."""
    with np.load(HEAD_FILE) as file:
        x, y, z = file["eye_position"].tolist()
        return neutral_state(len(file["expression_names"]), (x, y, z), float(file["fov_y_rad"]))


def expressed(head: Head, state: FrameState, **coefficients: float) -> FrameState:
    """Return the state with named coefficients; a name without a side sets both sides."""
    values = np.zeros(len(head.expression_names), np.float32)
    for name, value in coefficients.items():
        known = name in head.expression_names
        for full in [name] if known else [f"{name}Left", f"{name}Right"]:
            values[head.expression_names.index(full)] = value
    return replace(state, expression=values)


def visible_pixels(head: Head, state: FrameState, material: str, size: int = 384) -> int:
    """Return the number of pixels that show a material."""
    data = load_studio_data(HEAD_FILE)
    xy, inverse = project(head.pose(state), state, size, size)
    triangle = rasterize(xy, inverse, head.faces, size, size).triangle
    chosen = data.materials[triangle[triangle >= 0]] == MATERIALS.index(material)
    return int(chosen.sum())


def test_the_default_view_shows_the_person_before_the_background(
    studio: Studio, front: FrameState
) -> None:
    image = studio.render(front)
    assert image.rgb.shape == (SIZE, SIZE, 3)
    assert image.rgb.dtype == image.mask.dtype == np.uint8
    empty = image.mask == 0
    assert np.array_equal(image.rgb[empty], studio.background[empty])
    rows = np.nonzero((image.mask[:, SIZE // 3 : -SIZE // 3] > 0).any(1))[0]
    assert 0.05 < rows[0] / SIZE < 0.2  # space above the hair
    assert rows[-1] == SIZE - 1  # the shoulders extend beyond the image
    assert image.mask[SIZE // 2, SIZE // 2] == 255


def test_the_same_state_gives_the_same_image(studio: Studio, front: FrameState) -> None:
    assert np.array_equal(studio.render(front).rgb, studio.render(front).rgb)


def test_opening_the_jaw_changes_the_mouth_and_not_the_brow(
    studio: Studio, front: FrameState
) -> None:
    shut = studio.render(front).rgb.astype(int)
    opened = studio.render(expressed(studio.head, front, jawOpen=0.8)).rgb.astype(int)
    change = np.abs(opened - shut).max(2)
    nose = int(to_screen(np.array([[0, -0.035, 0.045]]), front, SIZE, SIZE)[0, 1])
    assert change[nose + 4 :].max() > 80
    assert change[: SIZE // 3].max() == 0


def test_the_open_mouth_shows_teeth_and_tongue(studio: Studio, front: FrameState) -> None:
    opened = expressed(studio.head, front, jawOpen=0.7)
    assert visible_pixels(studio.head, opened, "teeth") > 40
    assert visible_pixels(studio.head, opened, "tongue") > 40
    # Of 147 456 pixels: slivers at the corners of the lips.
    assert visible_pixels(studio.head, front, "teeth") <= 4


def test_closed_lids_hide_the_eyes(studio: Studio, front: FrameState) -> None:
    assert visible_pixels(studio.head, front, "eye") > 400
    assert visible_pixels(studio.head, expressed(studio.head, front, eyeBlink=1.0), "eye") <= 4


def pupil_column(studio: Studio, state: FrameState) -> float:
    """Return the column of the left eye's dark centre, in pixels."""
    centre = studio.head.joint_positions[3] + np.array([0, 0, 0.017], np.float32)
    x, y, _ = to_screen(centre[None], state, SIZE, SIZE)[0]
    rows = slice(int(y) - 1, int(y) + 3)
    columns = np.arange(int(x) - 7, int(x) + 8)
    dark = 255.0 - studio.render(state).rgb[rows, columns].mean((0, 2))
    weight = np.clip(dark - np.median(dark), 0, None)
    return float((weight * columns).sum() / weight.sum())


def test_eyes_follow_the_gaze_coefficients(studio: Studio, front: FrameState) -> None:
    # The person's left is +X, on the right for a camera in front.
    left = expressed(studio.head, front, eyeLookOutLeft=0.9, eyeLookInRight=0.9)
    right = expressed(studio.head, front, eyeLookInLeft=0.9, eyeLookOutRight=0.9)
    assert pupil_column(studio, left) - pupil_column(studio, right) > 2


def test_lights_are_fixed_when_head_and_viewer_turn(studio: Studio, front: FrameState) -> None:
    turn = rotation_vector_to_quaternion(np.array([0, 0.7, 0]))
    eye = np.array([np.sin(0.7), 0, np.cos(0.7)]) * front.eye_position[2]
    turned = replace(
        front,
        head_rotation=turn,
        eye_position=eye.astype(np.float32),
        eye_rotation=look_at(eye, np.zeros(3)),
    )
    face = np.s_[SIZE // 3 : SIZE // 2, SIZE // 3 : -SIZE // 3]
    # The same side of the face is visible, but it is turned towards the key light.
    before, after = studio.render(front).rgb[face], studio.render(turned).rgb[face]
    assert np.abs(before.astype(int) - after).mean() > 5


def test_a_head_file_without_paint_is_refused(tmp_path: Path) -> None:
    with np.load(HEAD_FILE) as file:
        bare = {name: file[name] for name in file.files if name != "materials"}
    np.savez(tmp_path / "bare.npz", allow_pickle=False, **bare)
    with pytest.raises(HeadError, match="lacks materials"):
        load_studio(tmp_path / "bare.npz")


def test_the_shipped_head_meets_its_specification() -> None:
    head = load_head(HEAD_FILE)
    assert len(head.expression_names) == 52
    assert len(head.faces) < 16_000
    assert head.uvs.min() >= 0
    assert head.uvs.max() <= 1
    np.testing.assert_allclose(head.weights.sum(1), 1, atol=1e-6)
    # The origin lies between the eyes, and the left one is at +X.
    np.testing.assert_allclose(head.joint_positions[3:].mean(0), 0, atol=1e-6)
    assert head.joint_positions[3, 0] > 0.02
    # Shoulders follow the body joint only: they do not turn with the head.
    low = head.neutral[:, 1] < -0.2
    np.testing.assert_array_equal(head.weights[low, 0], 1)


def test_highlights_move_with_the_viewer(studio: Studio, front: FrameState) -> None:
    """On the forehead, whose paint and diffuse light do not depend on the view direction."""
    verts = studio.head.neutral
    forehead = np.abs(verts - [0.0, 0.042, 0.03]) < [0.02, 0.012, 0.03]
    points = verts[forehead.all(1)]
    assert len(points) > 8
    seen = []
    for turn in (-0.4, 0.4):
        eye = np.array([np.sin(turn), 0, np.cos(turn)]) * front.eye_position[2]
        state = replace(
            front, eye_position=eye.astype(np.float32), eye_rotation=look_at(eye, np.zeros(3))
        )
        grey = studio.render(state).rgb.mean(2)
        xy = to_screen(points, state, SIZE, SIZE)[:, :2].astype(int)
        seen.append([grey[y - 1 : y + 2, x - 1 : x + 2].mean() for x, y in xy])
    left, right = seen
    assert np.median(np.abs(np.subtract(left, right))) > 2


def test_an_appearance_changes_person_and_background() -> None:
    head, data = load_head(HEAD_FILE), load_studio_data(HEAD_FILE)
    dark = Appearance(skin=(0.16, 0.075, 0.045), backdrop=(0.05, 0.02, 0.01))
    with np.load(HEAD_FILE) as file:
        x, y, z = file["eye_position"].tolist()
        state = neutral_state(len(head.expression_names), (x, y, z), float(file["fov_y_rad"]))
    fair, deep = (
        Studio(head, data, appearance, None, SIZE, texture_size=256).render(state).rgb.astype(float)
        for appearance in (Appearance(), dark)
    )
    cheek = np.s_[90:96, 64:70]
    assert deep[cheek].mean() < 0.7 * fair[cheek].mean()
    assert deep[2, 2, 0] > deep[2, 2, 2]
    assert fair[2, 2, 0] <= fair[2, 2, 2]
