"""Streams: newest wins, late frames are dropped and counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.errors import (
    AvatarNotFoundError,
    BadMessageError,
    LimitError,
    StreamExistsError,
    StreamNotFoundError,
)
from server.pool.fake import fake_avatar
from server.protocol.states import MeshState, neutral_mesh
from server.streams.streams import LIVE_HOLD_S, Stream, Streams

AVATAR = fake_avatar()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream(clock: Clock) -> Stream:
    return Stream("s", AVATAR, clock)


def mesh(seq: int, received_at: float = 100.0) -> MeshState:
    return replace(neutral_mesh(AVATAR), seq=seq, received_at=received_at)


def test_a_published_frame_is_the_newest_and_watchers_are_notified(stream: Stream) -> None:
    seen = []
    stream.watchers.append(lambda: seen.append(stream.newest and stream.newest.seq))
    assert stream.publish(mesh(3))
    assert stream.publish(mesh(7))
    assert seen == [3, 7]
    assert stream.counters.accepted == 2


def test_late_and_repeated_frames_are_dropped_and_counted(stream: Stream) -> None:
    stream.publish(mesh(5))
    assert not stream.publish(mesh(5))
    assert not stream.publish(mesh(4))
    assert stream.newest is not None
    assert stream.newest.seq == 5
    assert (stream.counters.accepted, stream.counters.dropped) == (1, 2)


def test_after_a_pause_a_sender_may_restart_its_numbering(stream: Stream, clock: Clock) -> None:
    stream.publish(mesh(1000))
    clock.now += LIVE_HOLD_S
    assert stream.publish(mesh(0, clock.now))
    assert stream.publish(mesh(1, clock.now))
    assert stream.counters.dropped == 0


def test_idle_animation_waits_until_the_publisher_has_been_silent(
    stream: Stream, clock: Clock
) -> None:
    assert stream.publish_idle(mesh(1))
    stream.publish(mesh(0))
    clock.now += LIVE_HOLD_S - 0.01
    assert not stream.publish_idle(mesh(2))
    clock.now += 0.01
    assert stream.publish_idle(mesh(3))
    assert stream.newest is not None
    assert stream.newest.seq == 3
    assert stream.live is not None
    assert stream.live.seq == 0
    assert stream.counters.idle == 2


def test_the_neutral_face_fits_the_avatar() -> None:
    neutral = neutral_mesh(AVATAR)
    assert neutral.expression.shape == (52,)
    assert not neutral.expression.any()
    assert np.array_equal(neutral.head_rotation, [0, 0, 0, 1])


def test_streams_are_found_by_their_id() -> None:
    streams = Streams({"default": AVATAR})
    named, unnamed = streams.create("default", "me.1"), streams.create("default")
    assert streams.get("me.1") is named
    assert streams.get(unnamed.id) is unnamed
    assert streams.list() == (named, unnamed)


def test_invalid_streams_are_refused() -> None:
    streams = Streams({"default": AVATAR}, max_streams=1)
    with pytest.raises(AvatarNotFoundError, match="no avatar 'x'; there are: default"):
        streams.create("x")
    for bad in ("", "a/b", ".hidden", "a b", "x" * 65, "é"):
        with pytest.raises(BadMessageError, match="stream id must be"):
            streams.create("default", bad)
    streams.create("default", "taken")
    with pytest.raises(StreamExistsError, match="'taken' exists already"):
        streams.create("default", "taken")
    with pytest.raises(LimitError, match="at most 1 streams"):
        streams.create("default", "second")
    with pytest.raises(StreamNotFoundError, match="no stream 'second'"):
        streams.get("second")


def test_deleting_a_stream_notifies_its_watchers() -> None:
    streams = Streams({"default": AVATAR})
    stream = streams.create("default", "s")
    told = []
    stream.on_deleted.append(lambda: told.append(stream.deleted))
    streams.delete("s")
    assert told == [True]
    assert streams.list() == ()
    with pytest.raises(StreamNotFoundError):
        streams.delete("s")


def test_a_stream_is_used_while_it_is_published_to_or_watched(clock: Clock, stream: Stream) -> None:
    clock.now += 10
    assert stream.unused_s() == 10
    stream.publish(mesh(1))
    assert stream.unused_s() == 0
    clock.now += 10
    stream.watchers.append(lambda: None)
    assert stream.unused_s() == 0
    stream.watchers.clear()
    clock.now += 10
    assert stream.unused_s() == 10
    stream.publish_idle(mesh(2))
    assert stream.unused_s() == 10


def test_frames_of_deleted_streams_stay_in_the_totals() -> None:
    streams = Streams({AVATAR.id: AVATAR})
    first, second = streams.create(AVATAR.id, "first"), streams.create(AVATAR.id, "second")
    for stream in (first, second):
        now = replace(mesh(1), received_at=stream.clock())
        assert [stream.publish(now), stream.publish(now)] == [True, False]
    streams.delete("first")
    totals = streams.totals()
    assert (totals.accepted, totals.dropped) == (2, 2)
    second.publish(replace(mesh(2), received_at=second.clock()))
    assert streams.totals().accepted == 3
