"""Which of eight devices a viewer gets, as they fill up, differ in speed, and fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from server.pool.placing import DeviceLoad, choose_device, failed_devices

EIGHT = [DeviceLoad(f"cuda:{index}", 0, None, True) for index in range(8)]


def fill(loads: list[DeviceLoad], viewers: int) -> Counter[str]:
    """Open a line for each viewer, and tell how many each device got."""
    loads = list(loads)
    for _ in range(viewers):
        index = [load.device for load in loads].index(choose_device(loads))
        loads[index] = replace(loads[index], open_slots=loads[index].open_slots + 1)
    return Counter({load.device: load.open_slots for load in loads})


def test_equal_devices_get_equally_many_viewers() -> None:
    assert fill(EIGHT, 1) == Counter({"cuda:0": 1})
    assert set(fill(EIGHT, 24).values()) == {3}
    measured = [replace(load, warp_ms=2.0) for load in EIGHT]
    assert set(fill(measured, 24).values()) == {3}


def test_a_device_twice_as_fast_gets_twice_as_many() -> None:
    mixed = [replace(load, warp_ms=1.0 if index < 4 else 2.0) for index, load in enumerate(EIGHT)]
    assert list(fill(mixed, 36).values()) == [6, 6, 6, 6, 3, 3, 3, 3]


def test_a_device_that_has_not_warped_yet_counts_as_a_typical_one() -> None:
    some = [replace(load, warp_ms=3.0 if index < 5 else None) for index, load in enumerate(EIGHT)]
    assert set(fill(some, 16).values()) == {2}


def test_what_is_open_already_counts() -> None:
    loads = [replace(load, open_slots=index) for index, load in enumerate(EIGHT)]
    assert choose_device(loads) == "cuda:0"
    assert set(fill(loads, 28).values()) == {7}


def test_a_failing_device_gets_no_viewers_and_is_reported() -> None:
    loads = [replace(load, usable=index != 3) for index, load in enumerate(EIGHT)]
    assert fill(loads, 70)["cuda:3"] == 0
    assert failed_devices(loads) == {"cuda:3"}
    assert failed_devices(EIGHT) == set()


def test_where_nothing_works_viewers_stay_and_wait() -> None:
    loads = [replace(load, usable=False) for load in EIGHT]
    assert failed_devices(loads) == set()
    assert set(fill(loads, 8).values()) == {1}
