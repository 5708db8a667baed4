"""Statistics of frames, per session and as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from server.sessions.statistics import FrameMetrics, Rate, RecentPercentiles


def samples(metrics: FrameMetrics) -> dict[tuple[str, str], float]:
    """Return the samples by name and labels, sorted."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {
        (sample.name, ",".join(sorted(sample.labels.values()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_frames_are_counted_in_the_buckets_of_their_stages_and_age() -> None:
    metrics = FrameMetrics()
    metrics.rendered(40.0, {"warp": 7.0, "raster": 3.0})
    metrics.rendered(0.0, {"warp": 30.0})
    found = samples(metrics)
    assert found["telewarp_stage_seconds_count", "warp"] == 2
    assert found["telewarp_stage_seconds_bucket", "0.006,warp"] == 0
    assert found["telewarp_stage_seconds_bucket", "0.008,warp"] == 1
    assert found["telewarp_stage_seconds_bucket", "0.033,warp"] == 2
    assert found["telewarp_stage_seconds_sum", "raster"] == 0.003
    assert found["telewarp_cache_age_seconds_bucket", "0.0"] == 1
    assert found["telewarp_cache_age_seconds_bucket", "0.033"] == 1
    assert found["telewarp_cache_age_seconds_bucket", "0.067"] == 2
    assert found["telewarp_frames_total", "drawn"] == 2


def test_other_events_are_counted_by_kind() -> None:
    metrics = FrameMetrics()
    metrics.repeated()
    metrics.failed()
    metrics.failed()
    metrics.sent(1200)
    metrics.sent(300)
    metrics.admitted(waited_s=7.0)
    metrics.refused()
    metrics.view(accepted=True)
    metrics.view(accepted=False)
    metrics.view(accepted=False)
    metrics.size_limited(larger=False)
    metrics.split_failed()
    found = samples(metrics)
    assert found["telewarp_frames_total", "repeated"] == 1
    assert found["telewarp_frames_total", "failed"] == 2
    assert found["telewarp_video_bytes_total", ""] == 1500
    assert found["telewarp_viewers_total", "admitted"] == 1
    assert found["telewarp_viewers_total", "refused"] == 1
    assert found["telewarp_queue_wait_seconds_bucket", "5.0"] == 0
    assert found["telewarp_queue_wait_seconds_bucket", "15.0"] == 1
    assert found["telewarp_views_total", "accepted"] == 1
    assert found["telewarp_views_total", "dropped"] == 2
    assert found["telewarp_size_changes_total", "smaller"] == 1
    assert found["telewarp_size_changes_total", "larger"] == 0
    assert found["telewarp_cache_allocation_failures_total", ""] == 1


def test_percentiles_use_the_newest_values_only() -> None:
    window = RecentPercentiles(size=101)
    for value in (1e6, *range(101)):
        window.add(value)
    assert window.percentiles() == {"p50": 50.0, "p95": 95.0}


def test_without_values_there_are_no_percentiles() -> None:
    assert RecentPercentiles().percentiles() == {"p50": None, "p95": None}


def test_a_rate_counts_events_within_its_time_span() -> None:
    now = 10.0
    rate = Rate(span_s=2.0, clock=lambda: now)
    assert rate.per_s() == 0.0
    for _ in range(30):
        now += 0.25
        rate.count()
    assert rate.per_s() == 4.0
    now += 5
    assert rate.per_s() == 0.0


def test_a_rate_counts_from_its_start_until_its_time_span_has_passed() -> None:
    now = 0.0
    rate = Rate(span_s=2.0, clock=lambda: now)
    for _ in range(4):
        now += 0.25
        rate.count()
    assert rate.per_s() == 4.0
