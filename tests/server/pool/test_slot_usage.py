"""Which slot is written, the newest, or read."""

from __future__ import annotations

from itertools import pairwise

from server.pool.slot_usage import SlotUsage


def write(usage: SlotUsage) -> int:
    slot = usage.begin_write()
    assert slot is not None
    usage.finish_write()
    return slot


def test_the_newest_slot_is_not_chosen_for_writing() -> None:
    usage = SlotUsage()
    written = [write(usage) for _ in range(4)]
    assert all(before != after for before, after in pairwise(written))
    assert usage.newest == written[-1]


def test_a_slot_being_read_is_never_written() -> None:
    usage = SlotUsage()
    write(usage)
    pinned = usage.pin_newest()
    assert pinned not in [write(usage) for _ in range(6)]
    assert pinned is not None
    usage.unpin(pinned)
    assert pinned in [write(usage) for _ in range(2)]


def test_a_reader_gets_the_newest_slot_even_while_an_older_one_is_read() -> None:
    usage = SlotUsage()
    first = write(usage)
    assert usage.pin_newest() == first
    second = write(usage)
    assert usage.pin_newest() == second


def test_no_slot_can_be_written_while_every_other_one_is_read() -> None:
    usage = SlotUsage()
    pins = []
    for _ in range(2):
        write(usage)
        pins.append(usage.pin_newest())
    write(usage)
    assert not usage.can_write
    assert usage.begin_write() is None
    assert pins[0] is not None
    usage.unpin(pins[0])
    assert usage.can_write
    assert usage.begin_write() == pins[0]


def test_one_slot_is_written_at_a_time() -> None:
    usage = SlotUsage()
    assert usage.begin_write() is not None
    assert not usage.can_write
    assert usage.begin_write() is None


def test_an_aborted_write_leaves_the_newest_slot_unchanged() -> None:
    usage = SlotUsage()
    newest = write(usage)
    usage.begin_write()
    usage.abort_write()
    assert usage.newest == newest
    assert usage.can_write


def test_no_slot_can_be_pinned_before_the_first_write() -> None:
    assert SlotUsage().pin_newest() is None


def test_memory_is_freed_only_when_no_slot_is_in_use() -> None:
    usage = SlotUsage()
    slot = write(usage)
    usage.pin_newest()
    assert not usage.retire()
    usage.begin_write()
    usage.unpin(slot)
    assert not usage.retire()
    usage.abort_write()
    assert usage.retire()
    assert usage.pin_newest() is None
