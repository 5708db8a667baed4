"""Subjects: one stream each, one sender at a time, the newest face, and a limited number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.drivers.faces import DrivenFace
from server.drivers.subjects import REPLACEABLE_S, Outcome, Subjects, to_stream_id
from server.pool.fake import fake_avatar
from server.protocol.states import neutral_mesh
from server.streams.head_pose import head_rotation
from server.streams.streams import LIVE_HOLD_S, Streams

AVATAR = fake_avatar()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def streams() -> Streams:
    return Streams({"default": AVATAR}, max_streams=8)


@pytest.fixture
def subjects(streams: Streams, clock: Clock) -> Subjects:
    return Subjects(streams, "default", 3, clock)


def face(
    subject: str = "me", jaw: float = 0.0, at_ms: float | None = None, sender: str = "phone"
) -> DrivenFace:
    return DrivenFace(subject, sender, {"jawOpen": jaw}, head_rotation(0, 0, 0), at_ms)


def jaw(streams: Streams, stream_id: str = "me") -> float:
    newest = streams.get(stream_id).newest
    assert newest is not None
    return float(newest.expression[AVATAR.expression_names.index("jawOpen")])


def test_a_subject_gets_a_stream_and_drives_it(subjects: Subjects, streams: Streams) -> None:
    assert subjects.publish(face(jaw=0.25, at_ms=10))[0] is Outcome.ACCEPTED
    assert subjects.publish(face(jaw=0.5, at_ms=27))[0] is Outcome.ACCEPTED
    assert jaw(streams) == 0.5
    live = streams.get("me").live
    assert live is not None
    assert (live.seq, live.captured_at_ms) == (1, 27)


def test_values_out_of_range_are_clamped(subjects: Subjects, streams: Streams) -> None:
    subjects.publish(face(jaw=1.3))
    assert jaw(streams) == 1.0
    subjects.publish(face(jaw=-0.2))
    assert jaw(streams) == 0.0


def test_a_reordered_packet_is_dropped(subjects: Subjects, streams: Streams) -> None:
    subjects.publish(face(jaw=0.5, at_ms=5000))
    assert subjects.publish(face(jaw=0.1, at_ms=4983))[0] is Outcome.LATE
    assert jaw(streams) == 0.5


def test_a_restarted_clock_is_followed(subjects: Subjects, streams: Streams) -> None:
    subjects.publish(face(jaw=0.5, at_ms=86_399_990))
    assert subjects.publish(face(jaw=0.1, at_ms=5))[0] is Outcome.ACCEPTED
    assert jaw(streams) == pytest.approx(0.1)


def test_a_sender_with_a_constant_clock_is_followed(subjects: Subjects) -> None:
    assert [subjects.publish(face(at_ms=0))[0] for _ in range(3)] == [Outcome.ACCEPTED] * 3


def test_a_stream_of_another_publisher_is_not_changed(subjects: Subjects, streams: Streams) -> None:
    theirs = streams.create("default", "me")
    outcome, why = subjects.publish(face())
    assert outcome is Outcome.REFUSED
    assert why == "stream 'me' exists already"
    assert theirs.newest is None


def test_a_second_device_is_ignored_until_the_first_is_silent(
    subjects: Subjects, streams: Streams, clock: Clock
) -> None:
    subjects.publish(face(jaw=0.5, at_ms=9000))
    outcome, why = subjects.publish(face(jaw=0.1, at_ms=20, sender="tablet"))
    assert outcome is Outcome.REFUSED
    assert "driven by another device" in why
    clock.now += LIVE_HOLD_S + 0.1
    assert subjects.publish(face(jaw=0.1, at_ms=20, sender="tablet"))[0] is Outcome.ACCEPTED
    assert jaw(streams) == pytest.approx(0.1)


def test_subjects_whose_names_give_the_same_id_do_not_share_it(subjects: Subjects) -> None:
    assert subjects.publish(face("a b"))[0] is Outcome.ACCEPTED
    assert subjects.publish(face("a/b"))[0] is Outcome.REFUSED


def test_the_number_of_subjects_is_limited_and_silent_ones_are_replaced(
    subjects: Subjects, streams: Streams, clock: Clock
) -> None:
    for name in ("a", "b", "c"):
        subjects.publish(face(name))
        clock.now += 1
    outcome, why = subjects.publish(face("d"))
    assert (outcome, why) == (Outcome.REFUSED, "at most 3 subjects, all are in use")
    streams.get("a").watchers.append(lambda: None)  # the oldest is kept because a viewer watches it
    clock.now += REPLACEABLE_S
    assert subjects.publish(face("d"))[0] is Outcome.ACCEPTED
    assert [stream.id for stream in streams.list()] == ["a", "c", "d"]


def test_a_deleted_stream_is_created_again(subjects: Subjects, streams: Streams) -> None:
    subjects.publish(face(jaw=0.5))
    streams.delete("me")
    assert subjects.publish(face(jaw=0.25))[0] is Outcome.ACCEPTED
    assert jaw(streams) == 0.25


def test_a_subject_continues_after_another_publisher(subjects: Subjects, streams: Streams) -> None:
    subjects.publish(face())
    mesh = neutral_mesh(AVATAR)
    streams.get("me").publish(type(mesh)(**{**vars(mesh), "seq": 1000}))
    assert subjects.publish(face(jaw=0.5))[0] is Outcome.ACCEPTED
    assert jaw(streams) == 0.5


@given(st.text(min_size=1, max_size=200))
def test_every_subject_gets_a_valid_stream_id(subject: str) -> None:
    Streams({"default": AVATAR}).create("default", to_stream_id(subject))


@pytest.mark.parametrize(
    ("subject", "stream_id"),
    [("iPhone von Maria", "iPhone-von-Maria"), ("..", "subject"), ("目", "subject")],
)
def test_stream_ids_resemble_their_subjects(subject: str, stream_id: str) -> None:
    assert to_stream_id(subject) == stream_id
