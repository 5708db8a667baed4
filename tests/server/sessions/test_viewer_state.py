"""The newest mesh frame and view, combined on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from server.pool.fake import JAW_OPEN, fake_avatar
from server.protocol.states import MeshState, neutral_mesh
from server.sessions.viewer_state import ViewerState
from server.streams.streams import LIVE_HOLD_S, Stream
from tests.server.sessions.fake_server import view

AVATAR = fake_avatar()


def mesh(seq: int, jaw_open: float = 0.0, age_s: float = 0.0) -> MeshState:
    expression = np.zeros(52, np.float32)
    expression[JAW_OPEN] = jaw_open
    received_at = time.monotonic() - age_s
    return replace(neutral_mesh(AVATAR), seq=seq, expression=expression, received_at=received_at)


class Watched:
    def __init__(self) -> None:
        self.stream = Stream("s", AVATAR)
        self.changes = 0
        self.viewer_state = ViewerState(self.stream, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def jaw_open(self) -> float:
        return float(self.viewer_state.sample().state.expression[JAW_OPEN])


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.viewer_state.close()


def test_without_input_it_is_the_neutral_face_from_the_avatars_view(
    watched: Watched,
) -> None:
    sampled = watched.viewer_state.sample()
    assert sampled.view is None
    assert sampled.mesh is None
    assert not sampled.state.expression.any()
    assert sampled.state.eye_position.tolist() == pytest.approx(AVATAR.eye_position)
    assert sampled.state.fov_y_rad == AVATAR.fov_y_rad


def test_a_sample_holds_the_newest_mesh_frame_and_view(watched: Watched) -> None:
    watched.stream.publish(mesh(3, 0.1))
    watched.viewer_state.set_view(view(1))
    watched.viewer_state.set_view(view(2, x=0.4, fov_y_rad=0.6))
    watched.stream.publish(mesh(4, 0.7))
    sampled = watched.viewer_state.sample()
    assert sampled.view is not None
    assert sampled.mesh is not None
    assert (sampled.view.seq, sampled.mesh.seq) == (2, 4)
    assert sampled.state.eye_position[0] == np.float32(0.4)
    assert sampled.state.fov_y_rad == 0.6
    assert watched.jaw_open() == pytest.approx(0.7)
    assert watched.changes == 4


def test_the_sample_is_the_same_object_until_an_input_changes(watched: Watched) -> None:
    first = watched.viewer_state.sample()
    assert watched.viewer_state.sample() is first
    watched.viewer_state.set_view(view(1))
    assert watched.viewer_state.sample() is not first


def test_late_and_repeated_views_are_dropped_and_counted(watched: Watched) -> None:
    assert watched.viewer_state.set_view(view(5))
    assert not watched.viewer_state.set_view(view(5))
    assert not watched.viewer_state.set_view(view(2))
    assert (watched.viewer_state.counters.views, watched.viewer_state.counters.views_dropped) == (
        1,
        2,
    )
    assert watched.changes == 1


async def test_a_viewers_own_mesh_frames_replace_the_streams_until_they_stop(
    watched: Watched,
) -> None:
    watched.stream.publish(mesh(1, 0.2))
    assert watched.viewer_state.set_mesh(mesh(0, 0.9, age_s=LIVE_HOLD_S - 0.1))
    watched.stream.publish(mesh(2, 0.3))
    assert watched.jaw_open() == pytest.approx(0.9)
    changes = watched.changes
    await asyncio.sleep(0.15)
    assert watched.changes == changes + 1, "no notification of the return to the stream's face"
    assert watched.jaw_open() == pytest.approx(0.3)


async def test_late_mesh_frames_of_a_viewer_are_dropped_until_it_pauses(watched: Watched) -> None:
    assert watched.viewer_state.set_mesh(mesh(5, 0.5))
    assert not watched.viewer_state.set_mesh(mesh(4, 0.4))
    assert watched.viewer_state.counters.meshes_dropped == 1
    assert watched.viewer_state.set_mesh(mesh(6, 0.6, age_s=LIVE_HOLD_S))
    assert watched.viewer_state.set_mesh(mesh(0, 0.1))
    assert watched.jaw_open() == pytest.approx(0.1)


async def test_continuing_mesh_frames_of_a_viewer_keep_its_face(watched: Watched) -> None:
    watched.viewer_state.set_mesh(mesh(1, 0.5, age_s=LIVE_HOLD_S - 0.05))
    watched.viewer_state.set_mesh(mesh(2, 0.6))
    await asyncio.sleep(0.1)
    assert watched.jaw_open() == pytest.approx(0.6)


def test_a_closed_viewer_state_no_longer_watches_its_stream(watched: Watched) -> None:
    other = ViewerState(watched.stream, lambda: None)
    assert len(watched.stream.watchers) == 2
    other.close()
    assert len(watched.stream.watchers) == 1


@pytest.mark.parametrize("own", [False, True])
async def test_an_unchanged_mesh_frame_does_not_change_the_frame_state(own: bool) -> None:
    watched = Watched()
    send = watched.viewer_state.set_mesh if own else watched.stream.publish
    vertices = np.arange(12, dtype=np.float32).reshape(4, 3)
    states = []
    for sent in (
        mesh(1, 0.3),
        mesh(2, 0.3),
        replace(mesh(3, 0.3), head_translation=np.full(3, 0.1, np.float32)),
        mesh(4, 0.3),
        mesh(5, 0.4),
        replace(mesh(6, 0.4), vertices=vertices),
        replace(mesh(7, 0.4), vertices=vertices.copy()),
        replace(mesh(8, 0.4), vertices=vertices + 1),
    ):
        send(sent)
        inputs = watched.viewer_state.sample()
        assert inputs.mesh is not None
        assert inputs.mesh.seq == sent.seq
        states.append(inputs.state)
    same = [one.same_image(other) for one, other in pairwise(states)]
    assert same == [True, False, False, False, False, True, False]
    watched.viewer_state.close()


@pytest.mark.parametrize("own", [False, True])
async def test_head_and_eye_are_expected_where_they_move_to(own: bool) -> None:
    watched = Watched()
    state = watched.viewer_state
    assert state.expected(0.1) is state.sample().state
    send = state.set_mesh if own else watched.stream.publish
    now_s = time.monotonic()
    for seq in range(1, 5):
        at_s = now_s - (4 - seq) / 30
        moved = np.full(3, 0.01 * seq, np.float32)
        send(replace(mesh(seq, 0.1 * seq), head_translation=moved, received_at=at_s))
        state.set_view(replace(view(seq, x=0.02 * seq), received_at=at_s))
    expected = state.expected(1 / 30)
    late_m = 0.3 * (time.monotonic() - now_s)  # what the head has moved during this test
    for moved_m in expected.head_translation:
        assert 0.0499 < moved_m < 0.0501 + late_m
    assert 0.0999 < expected.eye_position[0] < 0.1001 + 2 * late_m
    assert expected.expression[JAW_OPEN] == pytest.approx(0.4)
    await asyncio.sleep(0.12)
    assert state.expected(1 / 30) is state.sample().state
    state.close()
