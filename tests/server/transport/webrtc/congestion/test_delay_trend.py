"""A growing delay is overuse, a shrinking one underuse, jitter is neither."""

from __future__ import annotations

import random

import pytest

from server.transport.webrtc.congestion.delay_trend import DelayTrend, Usage
from server.transport.webrtc.congestion.packet_groups import GroupDelta

FRAME_S = 1 / 60


class Groups:
    """Adds groups to a trend, one per frame."""

    def __init__(self) -> None:
        self.trend = DelayTrend()
        self._at = 0.0

    def add(self, growth_s: float, count: int = 1) -> set[Usage]:
        seen = set()
        for _ in range(count):
            self._at += FRAME_S + growth_s
            self.trend.add(GroupDelta(FRAME_S, FRAME_S + growth_s, self._at))
            seen.add(self.trend.usage)
        return seen


def test_a_delay_that_grows_is_overuse_within_a_third_of_a_second() -> None:
    groups = Groups()
    assert groups.add(0.0, 60) == {Usage.NORMAL}
    assert Usage.OVERUSED in groups.add(0.005, 20)


def test_a_delay_that_shrinks_is_underuse() -> None:
    groups = Groups()
    groups.add(0.005, 60)
    assert groups.add(-0.005, 60) >= {Usage.UNDERUSED}
    assert groups.trend.usage is Usage.UNDERUSED


def test_a_constant_delay_is_normal_again() -> None:
    groups = Groups()
    groups.add(0.01, 20)
    groups.add(0.0, 80)
    assert groups.trend.usage is Usage.NORMAL


@pytest.mark.parametrize("jitter_s", [0.001, 0.004, 0.01])
def test_jitter_is_normal(jitter_s: float) -> None:
    groups, dice = Groups(), random.Random(2)
    groups.add(0.0, 30)
    last_s, seen = 0.0, set()
    for _ in range(600):
        late_s = dice.random() * jitter_s
        seen |= groups.add(late_s - last_s)
        last_s = late_s
    assert Usage.OVERUSED not in seen


def test_one_late_group_is_normal() -> None:
    groups = Groups()
    groups.add(0.0, 60)
    seen = groups.add(0.015) | groups.add(-0.015) | groups.add(0.0, 30)
    assert Usage.OVERUSED not in seen


def test_a_pause_resets_the_trend() -> None:
    groups = Groups()
    groups.add(0.01, 20)
    groups.trend.add(GroupDelta(12.0, 12.5, 20.0))
    assert groups.trend.usage is Usage.NORMAL
    groups._at = 20.0
    assert groups.add(0.0, 30) == {Usage.NORMAL}
