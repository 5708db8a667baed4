"""Capture times of mesh frames and voice on the server's clock."""

from __future__ import annotations

import pytest

from server.streams.capture_clock import BUCKET_S, CaptureClock, Delays

AHEAD_S = 1.79e9
"""The publisher's clock (since 1970) minus the server's (since boot), seconds."""


def ms(at: float) -> float:
    """Return the publisher's time of a moment on the server's clock, milliseconds."""
    return (at + AHEAD_S) * 1e3


def a_clock(face_s: float, voice_s: float, since: float = 100.0) -> CaptureClock:
    """Return a clock after a second of packets with these network delays."""
    clock = CaptureClock()
    for index in range(50):
        at = since + index * 0.02
        clock.note_face(ms(at), at + face_s)
        clock.note_voice(ms(at), at + voice_s)
    return clock


def test_the_time_between_face_and_voice_is_that_of_their_capture() -> None:
    clock = a_clock(face_s=0.080, voice_s=0.030)
    face = clock.captured_at(ms(101.0), 101.080)
    voice = clock.captured_at(ms(101.0), 101.030)
    assert face == pytest.approx(voice, abs=1e-5)
    assert voice == pytest.approx(101.030, abs=1e-5)  # the faster one counts as undelayed


def test_delays_are_relative_to_the_faster_path() -> None:
    paths = a_clock(face_s=0.080, voice_s=0.030).paths
    assert paths is not None
    assert paths.voice_ms == pytest.approx(0.0, abs=0.01)
    assert paths.face_ms == pytest.approx(50.0, abs=0.01)


def test_without_capture_times_of_both_the_arrival_times_are_used() -> None:
    clock = CaptureClock()
    clock.note_face(ms(100.0), 100.1)
    clock.note_voice(None, 100.1)
    assert clock.paths is None
    assert clock.captured_at(ms(100.0), 100.1) == 100.1
    assert clock.captured_at(None, 100.2) == 100.2


def test_times_of_different_clocks_are_not_compared() -> None:
    clock = CaptureClock()
    clock.note_face(4000.0, 100.1)  # since the page was opened
    clock.note_voice(ms(100.0), 100.05)
    assert clock.paths is None
    assert clock.captured_at(4000.0, 100.1) == 100.1


def test_a_time_that_cannot_be_the_publishers_is_not_converted() -> None:
    clock = a_clock(face_s=0.080, voice_s=0.030)
    for impossible in (5000.0, ms(110.0), ms(90.0)):  # a viewer's clock, the future, the past
        assert clock.captured_at(impossible, 101.1) == 101.1


def test_network_jitter_does_not_move_the_clock() -> None:
    clock = a_clock(face_s=0.080, voice_s=0.030)
    clock.note_voice(ms(101.0), 101.9)
    assert clock.captured_at(ms(102.0), 102.08) == pytest.approx(102.030, abs=1e-5)


def test_the_minimum_delay_expires_because_clocks_drift() -> None:
    delays = Delays()
    delays.note(0.0, 10.0)
    for step in range(1, 31):
        delays.note(step * BUCKET_S / 10, 10.05 + step * BUCKET_S / 10)
    assert delays.minimum == pytest.approx(10.05)


@pytest.mark.parametrize("jump_s", [-3.0, 3.0])
def test_a_new_publishers_clock_replaces_the_previous_one(jump_s: float) -> None:
    clock = a_clock(face_s=0.080, voice_s=0.030)
    clock.note_voice(ms(101.0) + jump_s * 1e3, 101.03)
    assert clock.paths is None  # until mesh frames come from the new one, too
    clock.note_face(ms(101.0) + jump_s * 1e3, 101.08)
    assert clock.captured_at(ms(102.0) + jump_s * 1e3, 102.08) == pytest.approx(102.03, abs=1e-5)
