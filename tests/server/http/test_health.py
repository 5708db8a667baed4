"""Health and readiness probes, and metrics."""

from __future__ import annotations

import httpx2
from prometheus_client.parser import text_string_to_metric_families


def test_healthz_answers_ok(http: httpx2.Client) -> None:
    answer = http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_is_ready_with_a_worker(http: httpx2.Client) -> None:
    answer = http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["workers"] == 1


def test_metrics_are_in_the_prometheus_format(http: httpx2.Client) -> None:
    http.post("/v1/streams", json={"avatar": "default", "id": "measured"})
    http.post("/v1/streams/measured/frames", json=[{"seq": 1}, {"seq": 1}])
    answer = http.get("/metrics")
    http.delete("/v1/streams/measured")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert values["telewarp_ready"] == 1
    assert values["telewarp_worker_up"] == 1
    assert values["telewarp_worker_restarts_total"] == 0
    assert values["telewarp_streams"] >= 1
    published = {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "telewarp_stream_frames_total"
    }
    assert published["accepted"] >= 1
    assert published["dropped"] >= 1
    assert values["process_resident_memory_bytes"] > 1e7
