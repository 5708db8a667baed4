"""Placement of viewers and streams as hosts join, fill up, time out and return."""

from __future__ import annotations

from collections import Counter

import pytest

from server.cluster.registry import LEASE_S, RESERVED_S, Registry
from server.errors import NotReadyError, PoolBusyError, StreamNotFoundError
from server.protocol.host_load import HeldStream, HostLoad

A, B = "http://a", "http://b"
DEMO = HeldStream(id="demo", avatar="default")
ME = HeldStream(id="me", avatar="anna")


def people(call: str, number: int) -> list[HeldStream]:
    """The streams of the people in a call."""
    return [HeldStream(id=f"{call}:{seat}", avatar="anna") for seat in range(number)]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    return Registry(clock)


def load(
    *streams: HeldStream, run: str = "1", sessions: int = 0, asked: int = 0, **others: bool
) -> HostLoad:
    return HostLoad(
        run=run,
        address=None,
        ready=others.get("ready", True),
        draining=others.get("draining", False),
        sessions=sessions,
        capacity=10,
        asked=asked,
        streams=(DEMO, *streams),
    )


def place(registry: Registry, viewers: int, stream: str = "demo") -> Counter[str]:
    return Counter(registry.place_viewer(stream) for _ in range(viewers))


def test_a_burst_of_viewers_is_spread_evenly_before_hosts_report_it(
    registry: Registry,
) -> None:
    registry.renew(A, load())
    registry.renew(B, load())
    assert place(registry, 20) == {A: 10, B: 10}
    with pytest.raises(PoolBusyError, match="full"):
        registry.place_viewer("demo")


def test_redirected_viewers_that_have_connected_are_not_counted_twice(registry: Registry) -> None:
    registry.renew(A, load())
    registry.renew(B, load())
    assert place(registry, 10) == {A: 5, B: 5}
    registry.renew(A, load(sessions=5, asked=5))  # B has not reported its five viewers yet
    assert place(registry, 10) == {A: 5, B: 5}


def test_slots_of_redirected_viewers_that_never_connect_are_freed(
    registry: Registry, clock: Clock
) -> None:
    registry.renew(A, load())
    assert place(registry, 10) == {A: 10}
    clock.now += 6
    registry.renew(A, load())
    assert registry.place_viewer("demo") == A


def test_the_host_with_the_most_free_slots_is_chosen_first(registry: Registry) -> None:
    registry.renew(A, load(sessions=6))
    registry.renew(B, load(sessions=2))
    assert place(registry, 6) == {B: 5, A: 1}


def test_a_host_that_drains_or_does_not_render_gets_no_viewers(registry: Registry) -> None:
    registry.renew(A, load(draining=True))
    registry.renew(B, load(sessions=9))
    assert registry.place_viewer("demo") == B
    registry.renew(B, load(ready=False))
    with pytest.raises(NotReadyError, match="'demo'"):
        registry.place_viewer("demo")
    with pytest.raises(NotReadyError):
        registry.place_stream("new")


def test_a_silent_host_is_lost_after_its_lease(registry: Registry, clock: Clock) -> None:
    registry.renew(A, load())
    registry.renew(B, load())
    clock.now += LEASE_S - 0.1
    registry.renew(B, load())
    clock.now += 0.2
    assert place(registry, 4) == {B: 4}
    assert [host.address for host in registry.hosts()] == [B]


def test_viewers_and_publishers_of_a_stream_are_sent_to_its_host(registry: Registry) -> None:
    registry.renew(A, load(ME, sessions=9))
    registry.renew(B, load())
    assert registry.place_viewer("me") == registry.find_stream("me") == A
    with pytest.raises(PoolBusyError):
        registry.place_viewer("me")
    with pytest.raises(StreamNotFoundError, match="'you'"):
        registry.place_viewer("you")
    assert registry.streams() == (DEMO, ME)


def test_new_streams_are_placed_on_the_host_with_the_fewest_and_usable_at_once(
    registry: Registry, clock: Clock
) -> None:
    registry.renew(A, load(ME))
    registry.renew(B, load())
    assert registry.place_stream("new") == B
    assert registry.place_viewer("new") == registry.find_stream("new") == B
    assert registry.place_stream("new") == B, "only the host may report that the stream exists"
    assert registry.place_stream("me") == A
    clock.now += RESERVED_S + 0.1
    for address, streams in ((A, [ME]), (B, [])):
        registry.renew(address, load(*streams))
    with pytest.raises(StreamNotFoundError):
        registry.find_stream("new")  # its publisher never arrived


def test_a_stream_that_is_deleted_is_forgotten(registry: Registry) -> None:
    registry.renew(A, load(ME))
    registry.renew(A, load())
    with pytest.raises(StreamNotFoundError):
        registry.find_stream("me")


def test_streams_of_a_lost_host_are_created_on_another(registry: Registry, clock: Clock) -> None:
    registry.renew(A, load(ME))
    clock.now += LEASE_S + 0.1
    with pytest.raises(NotReadyError, match="no host yet"):
        registry.place_viewer("me")
    assert registry.renew(B, load()) == (ME,)
    with pytest.raises(NotReadyError):
        registry.place_viewer("me")  # until B reports the stream
    assert registry.renew(B, load()) == (ME,), "B may have failed to create it"
    assert registry.renew(B, load(ME)) == ()
    assert registry.place_viewer("me") == B


def test_a_stream_stays_on_its_new_host_when_the_old_one_returns_late(
    registry: Registry, clock: Clock
) -> None:
    registry.renew(A, load(ME))
    clock.now += LEASE_S + 0.1
    registry.renew(B, load())
    registry.renew(B, load(ME))
    assert registry.renew(A, load(ME)) == ()
    assert registry.find_stream("me") == B


def test_a_host_that_returns_within_its_lease_keeps_its_streams(
    registry: Registry, clock: Clock
) -> None:
    registry.renew(A, load(ME))
    clock.now += LEASE_S + 0.1
    assert registry.renew(B, load()) == (ME,)
    assert registry.renew(A, load(ME)) == ()
    assert registry.find_stream("me") == A
    assert registry.renew(B, load()) == ()


def test_a_restarted_registry_is_complete_after_one_report_of_each_host() -> None:
    restarted = Registry()
    restarted.renew(A, load(ME, sessions=3))
    restarted.renew(B, load())
    assert restarted.find_stream("me") == A
    assert restarted.place_viewer("demo") == B


def test_unused_streams_are_removed_from_the_registry(registry: Registry, clock: Clock) -> None:
    registry.renew(A, load(ME))
    clock.now += LEASE_S + 0.1
    assert registry.hosts() == ()
    clock.now += 61
    assert registry.renew(B, load()) == ()
    with pytest.raises(StreamNotFoundError):
        registry.find_stream("me")


def test_streams_of_a_host_that_restarted_within_its_lease_are_lost(
    registry: Registry,
) -> None:
    registry.renew(A, load(ME))
    registry.renew(B, load())
    assert registry.renew(A, load(run="2")) == ()
    with pytest.raises(NotReadyError, match="no host yet"):
        registry.find_stream("me")
    assert registry.renew(B, load()) == (ME,)
    registry.renew(B, load(ME))
    assert registry.find_stream("me") == B


def test_all_people_of_a_call_are_sent_to_one_host(registry: Registry, clock: Clock) -> None:
    registry.renew(A, load(sessions=1))
    registry.renew(B, load())
    assert registry.place_call("us") == B
    registry.renew(B, load(sessions=9))  # full before it reports the first person
    assert registry.place_call("us") == B
    registry.renew(B, load(*people("us", 1), sessions=10))
    clock.now += RESERVED_S + 0.1
    registry.renew(A, load())
    registry.renew(B, load(*people("us", 1), sessions=10))
    assert registry.place_call("us") == B
    assert registry.place_call("them") == A
    assert registry.find_stream("us:0") == B
    with pytest.raises(StreamNotFoundError, match="'we:0'"):
        registry.find_stream("we:0")


def test_a_call_that_no_one_joined_is_forgotten(registry: Registry, clock: Clock) -> None:
    registry.renew(A, load(sessions=1))
    registry.renew(B, load())
    assert registry.place_call("us") == B
    clock.now += RESERVED_S + 0.1
    registry.renew(A, load())
    registry.renew(B, load(sessions=1))
    assert registry.place_call("us") == A


def test_calls_that_begin_together_are_spread_over_hosts(registry: Registry) -> None:
    registry.renew(A, load(sessions=4))
    registry.renew(B, load())
    assert Counter(registry.place_call(f"call-{i}") for i in range(6)) == {A: 2, B: 4}


def test_streams_of_a_call_are_not_created_on_another_host(
    registry: Registry, clock: Clock
) -> None:
    registry.renew(A, load(*people("us", 2), ME))
    clock.now += LEASE_S + 0.1
    assert registry.renew(B, load()) == (ME,)
    with pytest.raises(StreamNotFoundError):
        registry.find_stream("us:0")
    assert registry.place_call("us") == B, "the people meet there again"


def test_of_two_hosts_with_one_call_the_one_with_more_people_is_used(registry: Registry) -> None:
    registry.renew(A, load(*people("us", 2)))
    registry.renew(B, load(*people("us", 1)))
    assert registry.place_call("us") == A
    registry.renew(A, load())
    assert registry.place_call("us") == B


def test_a_call_cannot_begin_without_a_host(registry: Registry) -> None:
    registry.renew(A, load(draining=True))
    with pytest.raises(NotReadyError):
        registry.place_call("us")
    registry.renew(A, load(*people("us", 1), draining=True))
    assert registry.place_call("us") == A, "only the host may report that it is shutting down"
