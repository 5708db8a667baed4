"""Running figures."""

from __future__ import annotations

from server.sessions.recent import Rate, RecentPercentiles


def test_percentiles_are_of_the_newest_values_only() -> None:
    window = RecentPercentiles(size=101)
    for value in (1e6, *range(101)):
        window.add(value)
    assert window.percentiles() == {"p50": 50.0, "p95": 95.0}


def test_there_are_no_percentiles_of_nothing() -> None:
    assert RecentPercentiles().percentiles() == {"p50": None, "p95": None}


def test_a_rate_counts_what_happened_within_its_span() -> None:
    now = 10.0
    rate = Rate(span_s=2.0, clock=lambda: now)
    assert rate.per_s() == 0.0
    for _ in range(30):
        now += 0.25
        rate.count()
    assert rate.per_s() == 4.0
    now += 5
    assert rate.per_s() == 0.0


def test_a_young_rate_counts_from_its_beginning() -> None:
    now = 0.0
    rate = Rate(span_s=2.0, clock=lambda: now)
    for _ in range(4):
        now += 0.25
        rate.count()
    assert rate.per_s() == 4.0
