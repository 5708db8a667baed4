"""Where arrays are in the memory of cache slots."""

from __future__ import annotations

from server.pool.slot_layout import ArraySpec, SlotLayout


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
