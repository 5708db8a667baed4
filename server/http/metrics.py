"""Metrics in Prometheus' format: the state of the parts at each scrape, and what they have counted
since the start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from server.admission.admission import Admission
from server.background import BackgroundTasks
from server.calls.calls import Calls
from server.logs import lost_lines
from server.network.connections import Connections
from server.network.dropped_datagrams import dropped_datagrams
from server.pool.pool import RenderPool
from server.publications.publications import Publications
from server.sessions.registry import Sessions
from server.streams.streams import Streams

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class MeasuredParts:
    """The parts of the server that the metrics describe."""

    pool: RenderPool
    streams: Streams
    sessions: Sessions
    admission: Admission
    background: BackgroundTasks
    connections: Connections
    publications: Publications
    calls: Calls
    registries: tuple[CollectorRegistry, ...]
    """Metrics of the parts that count by themselves, such as the drivers."""


class _Collector:
    """Converts the state of the parts to metrics."""

    def __init__(self, parts: MeasuredParts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        yield from self._pool_metrics()
        yield from self._device_metrics()
        yield from self._gpu_metrics()
        yield from self._stream_metrics()
        yield from self._publication_metrics()
        yield _gauge("calls", "Calls", self._parts.calls.number)
        yield _gauge("call_people", "People with a seat in a call", self._parts.calls.people)
        yield from self._session_metrics()
        yield from self._admission_metrics()
        yield from self._task_metrics()
        yield from self._connection_metrics()

    def _pool_metrics(self) -> Iterator[Metric]:
        status = self._parts.pool.status()
        yield _gauge("ready", "Whether a worker is ready", status.ready)
        yield _counter("refreshes", "Caches made", status.refreshes)
        yield _counter("renders", "Still images rendered", status.renders)
        yield _gauge("waiting_refreshes", "Viewers whose refresh waits", status.pending_refreshes)
        up = GaugeMetricFamily(
            "telewarp_worker_up", "Whether a worker renders", labels=["worker", "device"]
        )
        restarts = CounterMetricFamily(
            "telewarp_worker_restarts", "Processes replaced", labels=["worker", "device"]
        )
        refresh = GaugeMetricFamily(
            "telewarp_worker_refresh_seconds",
            "How long a worker's last full render for a cache took",
            labels=["worker", "device"],
        )
        for worker in status.workers:
            labels = [worker.name, worker.device]
            up.add_metric(labels, worker.ready)
            restarts.add_metric(labels, worker.restarts)
            if worker.last_refresh_ms is not None:
                refresh.add_metric(labels, worker.last_refresh_ms / 1e3)
        yield from (up, restarts, refresh)

    def _device_metrics(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("telewarp_device_up", "Whether a device warps", labels=["device"])
        failures = CounterMetricFamily(
            "telewarp_device_failures", "Failures of a device", labels=["device"]
        )
        slots = GaugeMetricFamily(
            "telewarp_device_caches", "Viewers' caches on a device", labels=["device"]
        )
        warp = GaugeMetricFamily(
            "telewarp_device_warp_seconds", "Moving mean of a device's warps", labels=["device"]
        )
        for device in self._parts.pool.status().devices:
            up.add_metric([device.name], device.working)
            failures.add_metric([device.name], device.failures)
            slots.add_metric([device.name], device.open_slots)
            if device.warp_ms is not None:
                warp.add_metric([device.name], device.warp_ms / 1e3)
        yield from (up, failures, slots, warp)

    def _gpu_metrics(self) -> Iterator[Metric]:
        used = GaugeMetricFamily(
            "telewarp_gpu_memory_used_bytes",
            "GPU memory in use by all processes",
            labels=["device"],
        )
        total = GaugeMetricFamily(
            "telewarp_gpu_memory_total_bytes", "Total GPU memory", labels=["device"]
        )
        for device, memory in self._parts.pool.gpu_memory().items():
            used.add_metric([device], memory.used)
            total.add_metric([device], memory.total)
        yield from (used, total)

    def _stream_metrics(self) -> Iterator[Metric]:
        streams = self._parts.streams.list()
        yield _gauge("streams", "Streams", len(streams))
        frames = CounterMetricFamily(
            "telewarp_stream_frames",
            "Published frames: accepted, dropped (late or repeated)",
            labels=["kind"],
        )
        totals = self._parts.streams.totals()
        frames.add_metric(["accepted"], totals.accepted)
        frames.add_metric(["dropped"], totals.dropped)
        yield frames

    def _publication_metrics(self) -> Iterator[Metric]:
        yield _gauge("publications", "Publishers by WebRTC", len(self._parts.publications.list()))
        packets = CounterMetricFamily(
            "telewarp_voice_packets",
            "Packets of voice from publishers: received, dropped (above the rate or too large)",
            labels=["kind"],
        )
        totals = self._parts.publications.totals()
        packets.add_metric(["received"], totals.received)
        packets.add_metric(["dropped"], totals.dropped)
        yield packets

    def _session_metrics(self) -> Iterator[Metric]:
        sessions = self._parts.sessions.list()
        yield _gauge("sessions", "Viewers", len(sessions))
        sizes = GaugeMetricFamily(
            "telewarp_sessions_by_size", "Viewers by the rows of their frames", labels=["size"]
        )
        for size, viewers in sorted(Counter(session.size for session in sessions).items()):
            sizes.add_metric([str(size)], viewers)
        yield sizes
        lowered = sum(session.lowered_from is not None for session in sessions)
        yield _gauge(
            "lowered_sessions", "Viewers with smaller frames than they need, by load", lowered
        )
        yield _gauge("fps", "Frames a second sent to all viewers", sum(s.fps for s in sessions))
        target = sum(session.target_bitrate or 0 for session in sessions) / 8
        yield _gauge(
            "video_target_bytes_per_second",
            "Sum of the target bitrates of all viewers, bytes per second",
            target,
        )
        known = [session.network for session in sessions if session.network is not None]
        yield _gauge(
            "network_estimate_bytes_per_second",
            "Sum of what the networks of all viewers carry, where they report it",
            sum(network.estimate for network in known) / 8,
        )

    def _admission_metrics(self) -> Iterator[Metric]:
        admission = self._parts.admission
        yield _gauge("capacity", "Maximum simultaneous viewers", admission.capacity)
        yield _gauge("waiting_viewers", "Queued viewers", admission.queued)
        yield _gauge("draining", "Whether the server is shutting down", admission.draining)

    def _task_metrics(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "telewarp_task_up", "Whether a background task runs or has finished", labels=["task"]
        )
        failures = CounterMetricFamily(
            "telewarp_task_failures", "Failures of background tasks", labels=["task"]
        )
        for status in (*self._parts.background.statuses, *self._parts.pool.status().tasks):
            up.add_metric([status.name], status.problem is None)
            failures.add_metric([status.name], status.failures)
        yield from (up, failures)
        yield _counter("lost_log_lines", "Log lines that could not be written", lost_lines())

    def _connection_metrics(self) -> Iterator[Metric]:
        connections = self._parts.connections
        yield _gauge("connections", "Open TCP connections", connections.open)
        closed = CounterMetricFamily(
            "telewarp_connections_closed",
            "TCP connections closed by the limits: refused, replaced (had no request)",
            labels=["kind"],
        )
        closed.add_metric(["refused"], connections.refused)
        closed.add_metric(["replaced"], connections.replaced)
        yield closed
        dropped = CounterMetricFamily(
            "telewarp_dropped_datagrams",
            "Datagrams of WebRTC dropped: late (the server is overloaded), rate (above the limit)",
            labels=["reason"],
        )
        for reason, count in dropped_datagrams().items():
            dropped.add_metric([reason], count)
        yield dropped


def render(parts: MeasuredParts) -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Collector(parts))
    return b"".join(map(generate_latest, (registry, *parts.registries)))


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"telewarp_{name}", help_text, value=float(value))


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"telewarp_{name}", help_text, value=float(value))
