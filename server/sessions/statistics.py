"""Statistics of frames: of one session, and of all sessions since the start of the server.

Those of a session are counters and percentiles of its recent frames. Those of the server are
Prometheus counters and histograms; they outlive the sessions, so that rates and quantiles over any
time span can be queried. Recording a frame takes about 15 microseconds.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from server.pool.frame import Frame
from server.sessions.load_limit import FrameLoad
from server.sessions.network_figures import NetworkFigures

_WINDOW = 600
"""Number of values: ten seconds at 60 frames per second."""
_STAGE_BOUNDS_S = (
    *(0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016),
    *(0.024, 0.033, 0.05, 0.1, 0.25, 1.0),
)
"""Finest around the frame interval at 60 frames per second."""
_CACHE_AGE_BOUNDS_S = (0.0, 0.017, 0.033, 0.067, 0.133, 0.267, 0.533, 1.0, 2.0, 5.0)
"""Ages of 1 to 16 frames at 30 frames per second, which the evaluation covers, and higher ones."""
_QUEUEING_BOUNDS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Delays from those of a free network to those of one that congestion control cannot follow; 50 ms
is the goal behind a bottleneck."""
_QUEUE_BOUNDS_S = (0.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0)
"""Times from no wait to half an hour, when viewers have given up."""


class RecentPercentiles:
    """Computes percentiles of the newest values.

    Args:
        size: Number of values to keep.
    """

    def __init__(self, size: int = _WINDOW) -> None:
        self._values: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> None:
        """Add a value, replacing the oldest one."""
        self._values.append(value)

    def percentiles(self) -> dict[str, float | None]:
        """Return `p50` and `p95`; None if there are no values."""
        if not self._values:
            return {"p50": None, "p95": None}
        # One call for both, because each sorts its input.
        p50, p95 = np.percentile(np.fromiter(self._values, float), (50, 95))
        return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


class Rate:
    """Counts events per second over a short time span.

    Args:
        span_s: Length of the time span.
        clock: Returns monotonic time, seconds.
    """

    def __init__(self, span_s: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._span_s = span_s
        self._clock = clock
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._began = clock()

    def count(self) -> None:
        """Count an event at the current time."""
        self._times.append(self._clock())

    def per_s(self) -> float:
        """Return events per second over the span, or since the start if that is shorter."""
        now = self._clock()
        while self._times and self._times[0] <= now - self._span_s:
            self._times.popleft()
        # A session that is younger than the span would otherwise seem to be slow.
        span_s = min(self._span_s, now - self._began)
        return round(len(self._times) / span_s, 2) if span_s > 0 else 0.0


class FrameMetrics:
    """Metrics of all sessions, closed ones included."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        """Contains these metrics only."""
        self.viewer_requests = 0
        """Number of viewers admitted or refused."""
        self._count_frames()
        self._count_viewers()
        self._count_network()

    def _count_frames(self) -> None:
        """Create the metrics of frames and stills."""
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
        frames = self._kinds("telewarp_frames", "Frames: drawn, repeated, failed")
        self._rendered, self._repeated = frames.labels("drawn"), frames.labels("repeated")
        self._failed = frames.labels("failed")
        self._sent_bytes = Counter(
            "telewarp_video_bytes", "Video sent to viewers, RTP payloads", registry=self.registry
        )
        stills = self._kinds("telewarp_stills", "Refined stills: sent, failed")
        self._sent_stills, self._failed_stills = stills.labels("sent"), stills.labels("failed")
        self._still_bytes = Counter(
            "telewarp_still_bytes", "Refined stills sent to viewers", registry=self.registry
        )

    def _count_viewers(self) -> None:
        """Create the metrics of viewers and of what they send."""
        views = self._kinds(
            "telewarp_views", "Viewers' poses: accepted, dropped (late or repeated)"
        )
        self._views = {True: views.labels("accepted"), False: views.labels("dropped")}
        viewers = self._kinds("telewarp_viewers", "Viewers: admitted, refused")
        self._admitted, self._refused = viewers.labels("admitted"), viewers.labels("refused")
        self._failed_splits = Counter(
            "telewarp_cache_allocation_failures",
            "Viewers who had to keep sharing caches with other views, for lack of memory",
            registry=self.registry,
        )
        limits = self._kinds(
            "telewarp_size_changes", "Changes of the size of frames by load: smaller, larger"
        )
        self._limits = {True: limits.labels("larger"), False: limits.labels("smaller")}
        self._waits = Histogram(
            "telewarp_queue_wait_seconds",
            "How long viewers waited in the queue before they were admitted",
            buckets=_QUEUE_BOUNDS_S,
            registry=self.registry,
        )

    def _count_network(self) -> None:
        """Create the metrics of the viewers' networks."""
        packets = self._kinds(
            "telewarp_network_packets", "Packets that viewers have reported on: arrived, lost"
        )
        self._arrived, self._lost = packets.labels("arrived"), packets.labels("lost")
        self._queueing = Histogram(
            "telewarp_queueing_delay_seconds",
            "How long packets queued on their way to a viewer, at each report",
            buckets=_QUEUEING_BOUNDS_S,
            registry=self.registry,
        )

    def _kinds(self, name: str, description: str) -> Counter:
        return Counter(name, description, ["kind"], registry=self.registry)

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

    def size_limited(self, larger: bool) -> None:
        """Count a viewer whose frames become larger or smaller by load."""
        self._limits[larger].inc()

    def still_sent(self, size_bytes: int) -> None:
        """Count a refined still that a viewer has fetched, and its bytes."""
        self._sent_stills.inc()
        self._still_bytes.inc(size_bytes)

    def still_failed(self) -> None:
        """Count a refined still that could not be rendered."""
        self._failed_stills.inc()

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


class SessionStatistics:
    """What one session has sent and refused. Frames are counted for the server, too.

    Args:
        metrics: The server's.
    """

    def __init__(self, metrics: FrameMetrics) -> None:
        self.frames = 0
        """New frames, without repeated ones."""
        self.late_frames = 0
        """New frames that were due before the previous one was there."""
        self.repeated_frames = 0
        self.failed_frames = 0
        self.refused_meshes = 0
        self.stills = 0
        """Refined stills that the viewer has fetched."""
        self.failed_stills = 0
        self.failed_splits = 0
        """Splits from a view group for which there was no memory."""
        self.rate = Rate()
        """Frames per second, repeated ones included."""
        self.refresh_rate = Rate()
        """New caches per second."""
        self._metrics = metrics
        self._took_s = 0.0
        self._cache_age_ms = RecentPercentiles()
        self._stages_ms: defaultdict[str, RecentPercentiles] = defaultdict(RecentPercentiles)

    def rendered(self, frame: Frame, late: bool) -> None:
        """Count a new frame, its cache age and its stages.

        Args:
            frame: A complete one.
            late: Whether it was due before the previous one was there.
        """
        self.frames += 1
        self.late_frames += late
        self._took_s += (sum(frame.stages_ms.values()) - frame.stages_ms["wait"]) / 1e3
        self.rate.count()
        self._cache_age_ms.add(frame.cache_age_ms)
        for stage, elapsed_ms in frame.stages_ms.items():
            self._stages_ms[stage].add(elapsed_ms)
        self._metrics.rendered(frame.cache_age_ms, frame.stages_ms)

    def load(self, changes: int) -> FrameLoad:
        """Return the new frames so far, and the time that they took.

        Args:
            changes: Views and faces so far.
        """
        return FrameLoad(changes, self.frames, self.late_frames, self._took_s)

    def repeated(self) -> None:
        """Count a frame that was sent again because nothing changed."""
        self.repeated_frames += 1
        self.rate.count()
        self._metrics.repeated()

    def failed(self) -> None:
        """Count a frame that could not be rendered."""
        self.failed_frames += 1
        self._metrics.failed()

    def still_sent(self, size_bytes: int) -> None:
        """Count a refined still that the viewer has fetched."""
        self.stills += 1
        self._metrics.still_sent(size_bytes)

    def still_failed(self) -> None:
        """Count a refined still that could not be rendered."""
        self.failed_stills += 1
        self._metrics.still_failed()

    def split_failed(self) -> None:
        """Count a split for which there was no memory."""
        self.failed_splits += 1
        self._metrics.split_failed()

    def stage(self, name: str, elapsed_ms: float) -> None:
        """Record the time of a stage after the warp, such as `encode`."""
        self._stages_ms[name].add(elapsed_ms)
        self._metrics.stage(name, elapsed_ms)

    def network(self, figures: NetworkFigures) -> None:
        """Count what the viewer has reported of the network."""
        self._metrics.network(figures)

    def of_frames(self) -> dict[str, Any]:
        """Return counts, and percentiles of about the last ten seconds, as JSON values."""
        return {
            "frames": self.frames,
            "late_frames": self.late_frames,
            "repeated_frames": self.repeated_frames,
            "failed_frames": self.failed_frames,
            "failed_splits": self.failed_splits,
            "fps": self.rate.per_s(),
            "cache_age_ms": self._cache_age_ms.percentiles(),
            "stages_ms": {name: found.percentiles() for name, found in self._stages_ms.items()},
        }
