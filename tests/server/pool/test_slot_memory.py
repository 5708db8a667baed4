"""The book of slots, and memory that two mappings share."""

from __future__ import annotations

from itertools import pairwise
from multiprocessing.shared_memory import SharedMemory

import pytest

from server.pool.slot_memory import ArraySpec, SharedBlock, SlotBook, SlotLayout


def write(book: SlotBook) -> int:
    slot = book.begin_write()
    assert slot is not None
    book.finish_write()
    return slot


def test_the_newest_slot_is_not_the_next_to_be_written() -> None:
    book = SlotBook()
    written = [write(book) for _ in range(4)]
    assert all(before != after for before, after in pairwise(written))
    assert book.newest == written[-1]


def test_a_slot_being_read_is_not_written_however_many_caches_come() -> None:
    book = SlotBook()
    write(book)
    pinned = book.pin_newest()
    assert pinned not in [write(book) for _ in range(6)]
    assert pinned is not None
    book.unpin(pinned)
    assert pinned in [write(book) for _ in range(2)]


def test_a_reader_gets_the_newest_even_while_an_older_one_is_read() -> None:
    book = SlotBook()
    first = write(book)
    assert book.pin_newest() == first
    second = write(book)
    assert book.pin_newest() == second


def test_nothing_can_be_written_while_every_other_slot_is_read() -> None:
    book = SlotBook()
    pins = []
    for _ in range(2):
        write(book)
        pins.append(book.pin_newest())
    write(book)
    assert not book.can_write
    assert book.begin_write() is None
    assert pins[0] is not None
    book.unpin(pins[0])
    assert book.can_write
    assert book.begin_write() == pins[0]


def test_one_slot_is_written_at_a_time() -> None:
    book = SlotBook()
    assert book.begin_write() is not None
    assert not book.can_write
    assert book.begin_write() is None


def test_an_aborted_write_leaves_the_newest_as_it_was() -> None:
    book = SlotBook()
    newest = write(book)
    book.begin_write()
    book.abort_write()
    assert book.newest == newest
    assert book.can_write


def test_there_is_nothing_to_pin_before_the_first_write() -> None:
    assert SlotBook().pin_newest() is None


def test_a_book_retires_only_when_nobody_uses_a_slot() -> None:
    book = SlotBook()
    slot = write(book)
    book.pin_newest()
    assert not book.retire()
    book.begin_write()
    book.unpin(slot)
    assert not book.retire()
    book.abort_write()
    assert book.retire()
    assert book.pin_newest() is None


def test_arrays_of_all_slots_are_aligned_and_do_not_overlap() -> None:
    layout = SlotLayout([ArraySpec("a", (3, 5), 2), ArraySpec("b", (7,), 4)])
    ends = 0
    for slot in range(3):
        for spec in layout.specs:
            begin = layout.offset(slot, spec.name)
            assert begin % 64 == 0
            assert begin >= ends
            ends = begin + spec.nbytes
    assert ends <= layout.nbytes == 3 * (64 + 64)


def test_what_one_mapping_writes_the_other_reads() -> None:
    ours = SharedBlock.create(100)
    theirs = SharedBlock.attach(ours.name)
    theirs.buffer[3] = 42
    assert ours.buffer[3] == 42
    theirs.close()
    ours.close()


def test_closing_an_attached_block_does_not_free_it_but_closing_the_owned_one_does() -> None:
    ours = SharedBlock.create(100)
    SharedBlock.attach(ours.name).close()
    SharedBlock.attach(ours.name).close()
    ours.close()
    with pytest.raises(FileNotFoundError):
        SharedMemory(ours.name)
