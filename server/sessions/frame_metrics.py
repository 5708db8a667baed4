"""Frame counts and times since the start of the server, as Prometheus histograms and counters.

They outlive the sessions, so that rates and quantiles over any time span can be queried. Recording
a frame takes about 15 microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from server.sessions.network_figures import NetworkFigures

_STAGE_BOUNDS_S = (
    *(0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016),
    *(0.024, 0.033, 0.05, 0.1, 0.25, 1.0),
)
"""Finest around the frame interval at 60 frames per second."""
_CACHE_AGE_BOUNDS_S = (0.0, 0.017, 0.033, 0.067, 0.133, 0.267, 0.533, 1.0, 2.0, 5.0)
"""From 1 to 16 frames at 30 frames per second, the ages that the evaluation covers, and beyond."""
_QUEUEING_BOUNDS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
"""From a free network to one that is not followed; 50 ms is the goal behind a bottleneck."""
_QUEUE_BOUNDS_S = (0.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0)
"""From no wait to half an hour, when viewers have given up."""


class FrameMetrics:
    """Metrics of all sessions, closed ones included."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        """Contains these metrics only."""
        self._stages = Histogram(
            "telewarp_stage_seconds",
            "How long each stage of a frame took",
            ["stage"],
            buckets=_STAGE_BOUNDS_S,
            registry=self.registry,
        )
        self._ages = Histogram(
            "telewarp_cache_age_seconds",
            "How old the cache was that a frame was made from",
            buckets=_CACHE_AGE_BOUNDS_S,
            registry=self.registry,
        )
        frames = Counter(
            "telewarp_frames", "Frames: drawn, repeated, failed", ["kind"], registry=self.registry
        )
        self._rendered = frames.labels("drawn")
        self._repeated = frames.labels("repeated")
        self._failed = frames.labels("failed")
        self._sent_bytes = Counter(
            "telewarp_video_bytes", "Video sent to viewers, RTP payloads", registry=self.registry
        )
        views = Counter(
            "telewarp_views",
            "Viewers' poses: accepted, dropped (late or repeated)",
            ["kind"],
            registry=self.registry,
        )
        self._views = {True: views.labels("accepted"), False: views.labels("dropped")}
        viewers = Counter(
            "telewarp_viewers", "Viewers: admitted, refused", ["kind"], registry=self.registry
        )
        self._failed_splits = Counter(
            "telewarp_failed_splits",
            "Viewers who had to keep sharing caches with other views, for lack of memory",
            registry=self.registry,
        )
        self._waits = Histogram(
            "telewarp_waiting_seconds",
            "How long viewers waited in the queue before they were admitted",
            buckets=_QUEUE_BOUNDS_S,
            registry=self.registry,
        )
        packets = Counter(
            "telewarp_network_packets",
            "Packets that viewers have reported on: arrived, lost",
            ["kind"],
            registry=self.registry,
        )
        self._arrived, self._lost = packets.labels("arrived"), packets.labels("lost")
        self._queueing = Histogram(
            "telewarp_queueing_delay_seconds",
            "How long packets queued on their way to a viewer, at each report",
            buckets=_QUEUEING_BOUNDS_S,
            registry=self.registry,
        )
        self._admitted, self._refused = viewers.labels("admitted"), viewers.labels("refused")
        self.viewer_requests = 0
        """Number of viewers admitted or refused."""

    def rendered(self, cache_age_ms: float, stages_ms: Mapping[str, float]) -> None:
        """Count a new frame and record its cache age and stages."""
        self._rendered.inc()
        self._ages.observe(cache_age_ms / 1e3)
        for stage, elapsed_ms in stages_ms.items():
            self.stage(stage, elapsed_ms)

    def stage(self, name: str, elapsed_ms: float) -> None:
        """Record the time of a stage."""
        self._stages.labels(name).observe(elapsed_ms / 1e3)

    def network(self, figures: NetworkFigures) -> None:
        """Count the packets of a viewer's report and record the queueing delay."""
        self._arrived.inc(figures.reported - figures.lost)
        self._lost.inc(figures.lost)
        self._queueing.observe(figures.queue_s)

    def repeated(self) -> None:
        """Count a frame that was sent again because nothing changed."""
        self._repeated.inc()

    def failed(self) -> None:
        """Count a frame that could not be rendered."""
        self._failed.inc()

    def view(self, accepted: bool) -> None:
        """Count a view, either accepted or dropped because it was late or repeated."""
        self._views[accepted].inc()

    def split_failed(self) -> None:
        """Count a viewer for whom there was no memory for caches of its own."""
        self._failed_splits.inc()

    def sent(self, size_bytes: int) -> None:
        """Count the payload of a video packet."""
        self._sent_bytes.inc(size_bytes)

    def admitted(self, waited_s: float) -> None:
        """Count an admitted viewer and record its time in the queue."""
        self.viewer_requests += 1
        self._admitted.inc()
        self._waits.observe(waited_s)

    def refused(self) -> None:
        """Count a viewer who was refused because the server is full or not ready."""
        self.viewer_requests += 1
        self._refused.inc()
