"""The choice among eight devices for a viewer, by open slots, speed and failures."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from server.pool.placing import DeviceLoad, choose_device, failed_devices

EIGHT = [DeviceLoad(f"cuda:{index}", 0, None, True) for index in range(8)]


def slots_per_device(loads: list[DeviceLoad], viewers: int) -> Counter[str]:
    """Open cache slots for each viewer; return how many each device has."""
    loads = list(loads)
    for _ in range(viewers):
        index = [load.device for load in loads].index(choose_device(loads))
        loads[index] = replace(loads[index], open_slots=loads[index].open_slots + 1)
    return Counter({load.device: load.open_slots for load in loads})


def test_equal_devices_get_equal_numbers_of_viewers() -> None:
    assert slots_per_device(EIGHT, 1) == Counter({"cuda:0": 1})
    assert set(slots_per_device(EIGHT, 24).values()) == {3}
    measured = [replace(load, warp_ms=2.0) for load in EIGHT]
    assert set(slots_per_device(measured, 24).values()) == {3}


def test_a_device_twice_as_fast_gets_twice_as_many_viewers() -> None:
    of_two_speeds = [
        replace(load, warp_ms=1.0 if index < 4 else 2.0) for index, load in enumerate(EIGHT)
    ]
    assert list(slots_per_device(of_two_speeds, 36).values()) == [6, 6, 6, 6, 3, 3, 3, 3]


def test_a_device_that_has_not_warped_yet_counts_as_typical() -> None:
    partly_measured = [
        replace(load, warp_ms=3.0 if index < 5 else None) for index, load in enumerate(EIGHT)
    ]
    assert set(slots_per_device(partly_measured, 16).values()) == {2}


def test_open_slots_count() -> None:
    loads = [replace(load, open_slots=index) for index, load in enumerate(EIGHT)]
    assert choose_device(loads) == "cuda:0"
    assert set(slots_per_device(loads, 28).values()) == {7}


def test_a_failing_device_gets_no_viewers_and_is_reported() -> None:
    loads = [replace(load, usable=index != 3) for index, load in enumerate(EIGHT)]
    assert slots_per_device(loads, 70)["cuda:3"] == 0
    assert failed_devices(loads) == {"cuda:3"}
    assert failed_devices(EIGHT) == set()


def test_without_a_working_device_viewers_are_spread_over_all_and_wait() -> None:
    loads = [replace(load, usable=False) for load in EIGHT]
    assert failed_devices(loads) == set()
    assert set(slots_per_device(loads, 8).values()) == {1}
