"""Fitting the hulls of hair and body to outlines of known shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.capture.build_head import build_head
from models.capture.deformable import deformable
from models.capture.ears import SIDES, with_ear_moved
from models.capture.face_model import average_identity
from models.capture.hull import (
    fit_hull,
    outline,
    with_body_moved,
    with_ears_met,
    with_hair_moved,
    with_outline_shifted,
    with_outlines_met,
)
from models.capture.shape_space import load_shape_space
from models.contract.frame_state import FrameState
from models.geometry.head import Head
from models.geometry.head_file import load_head

SIZE = 80


@pytest.fixture(scope="module")
def arrays() -> dict[str, NDArray[Any]]:
    space = load_shape_space()
    return build_head(space, average_identity(space), "short")


@pytest.fixture(scope="module")
def head(arrays: dict[str, NDArray[Any]], tmp_path_factory: pytest.TempPathFactory) -> Head:
    path: Path = tmp_path_factory.mktemp("hull") / "head.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return load_head(path)


def view(head: Head, yaw_rad: float) -> FrameState:
    return FrameState(
        head_rotation=np.array([0, np.sin(yaw_rad / 2), 0, np.cos(yaw_rad / 2)], np.float32),
        head_translation=np.zeros(3, np.float32),
        expression=np.zeros(len(head.expression_names), np.float32),
        eye_rotation=np.array([0, 0, 0, 1], np.float32),
        eye_position=np.array([0, -0.05, 0.8], np.float32),
        fov_y_rad=0.6,
    )


def test_uneven_shoulders_and_high_hair_are_fitted(
    head: Head, arrays: dict[str, NDArray[Any]]
) -> None:
    part = deformable(arrays)
    person = with_hair_moved(part, np.array([0.3, 0.8, 0.4, 0.0, 0.0]))
    person = with_body_moved(
        replace(part, verts=person), np.array([-0.3, -0.4, 0.5, 0.0, 0.6, -0.4])
    )
    states = [view(head, yaw) for yaw in (-0.3, 0.2)]
    truth = head.with_neutral(person.astype(np.float32))
    fit = fit_hull(head, part, states, [outline(truth, state, SIZE) for state in states])
    assert fit.before > 0.1
    assert fit.after < 0.025


def test_the_body_moves_and_its_seam_at_the_neck_stays(arrays: dict[str, NDArray[Any]]) -> None:
    part = deformable(arrays)
    moved = with_body_moved(part, np.array([-0.3, -2.0, 1.0, 1.0, 1.0, 1.0]))
    distance = np.linalg.norm(moved - part.verts, axis=1)
    seam = part.cloth & (part.from_skin < 1e-6)
    assert seam.sum() == 48
    assert distance[seam].max() < 1e-6
    assert distance[part.below_collar < 0].max() == 0
    assert distance[part.below_collar < 0.01].max() < 0.01
    assert distance.max() > 0.1


def test_a_raised_body_does_not_fold_over_the_neck(arrays: dict[str, NDArray[Any]]) -> None:
    part = deformable(arrays)
    moved = with_body_moved(part, np.array([0.0, 3.0, 0.0, 0.0, 0.0, 0.0]))
    chest = part.cloth & (np.abs(part.verts[:, 0]) < 0.05) & (part.below_collar > 0)
    rise = (moved - part.verts)[:, 1]
    assert rise.max() > 0.1
    assert (rise[chest] < 0.7 * part.below_collar[chest]).all()


def test_a_tuft_of_the_mattes_beside_the_crown_ends_within_the_mesh(
    head: Head, arrays: dict[str, NDArray[Any]]
) -> None:
    part = deformable(arrays)
    middle = part.verts[part.hair][part.verts[part.hair][:, 1].argmax()] + [0.05, 0, 0]
    distance = np.linalg.norm(part.verts - middle, axis=1)
    wider = 0.015 * np.exp(-0.5 * (distance / 0.03) ** 2)
    truth = head.with_neutral(with_outline_shifted(part, wider).astype(np.float32))
    states = [view(head, yaw) for yaw in (-0.2, 0.0, 0.2)]
    mattes = [outline(truth, state, 2 * SIZE) for state in states]
    verts = with_outlines_met(head, part, states, mattes)
    before, after = (beside(head, each, states, mattes) for each in (part.verts, verts))
    assert before > 150
    assert after < 0.2 * before
    # Parts that fit already move by the margin only; the pixels of these mattes are 3 mm wide.
    moved = np.linalg.norm(verts - part.verts, axis=1)[part.hair & (distance > 0.08)]
    assert np.percentile(moved, 90) < 0.002
    assert moved.max() < 0.0055


def test_low_ears_that_stand_out_are_found_and_fit_views_that_no_matte_showed(
    head: Head, arrays: dict[str, NDArray[Any]]
) -> None:
    part = deformable(arrays)
    person = part.verts
    for side in SIDES:
        ear = np.array([-1.5, 0.5, 0.5, 1.5])
        person = with_ear_moved(replace(part, verts=person), ear, side)
    truth = head.with_neutral(person.astype(np.float32))
    states = [view(head, yaw) for yaw in (-0.2, 0.0, 0.2)]
    mattes = [outline(truth, state, 2 * SIZE) for state in states]
    verts = with_ears_met(head, part, states, mattes)
    before, after = (beside(head, each, states, mattes) for each in (part.verts, verts))
    assert before > 100
    assert after < 0.2 * before
    turned = [view(head, yaw) for yaw in (-0.6, 0.6)]
    shown = [outline(truth, state, 2 * SIZE) for state in turned]
    unlike, like = (
        sum(
            (outline(head.with_neutral(each.astype(np.float32)), state, 2 * SIZE) != matte).sum()
            for state, matte in zip(turned, shown, strict=True)
        )
        for each in (part.verts, verts)
    )
    assert like < 0.5 * unlike
    assert (verts == part.verts)[~part.ears].all()


def beside(
    head: Head, verts: NDArray[Any], states: list[FrameState], mattes: list[NDArray[np.bool_]]
) -> int:
    """Return the number of pixels of mattes beside the mesh."""
    mesh = head.with_neutral(verts.astype(np.float32))
    return sum(
        int((matte & ~outline(mesh, state, len(matte))).sum())
        for state, matte in zip(states, mattes, strict=True)
    )
