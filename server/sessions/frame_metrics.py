"""What happened to frames since the server started, as Prometheus' histograms and counters.

These outlive the sessions they come from, so that rates and quantiles over any span can be asked
for. Noting a frame costs some 15 microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

_STAGE_BOUNDS_S = (
    *(0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.012, 0.016),
    *(0.024, 0.033, 0.05, 0.1, 0.25, 1.0),
)
"""Finest around a frame's time at 60 a second."""
_AGE_BOUNDS_S = (0.0, 0.017, 0.033, 0.067, 0.133, 0.267, 0.533, 1.0, 2.0, 5.0)
"""From 1 to 16 frames at 30 a second, the ages that evaluation knows, and beyond."""

_WAIT_BOUNDS_S = (0.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0)
"""From not at all to a watcher's patience."""


class FrameMetrics:
    """Counts frames of all sessions, gone ones too."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        """Holds these figures only."""
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
            buckets=_AGE_BOUNDS_S,
            registry=self.registry,
        )
        frames = Counter(
            "telewarp_frames", "Frames: drawn, repeated, failed", ["kind"], registry=self.registry
        )
        self._drawn = frames.labels("drawn")
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
        self._waits = Histogram(
            "telewarp_waiting_seconds",
            "How long viewers waited in the line before they were admitted",
            buckets=_WAIT_BOUNDS_S,
            registry=self.registry,
        )
        self._admitted, self._refused = viewers.labels("admitted"), viewers.labels("refused")
        self.asked = 0
        """Viewers admitted or refused."""

    def drawn(self, cache_age_ms: float, stages_ms: Mapping[str, float]) -> None:
        """Note a new picture and where its time went."""
        self._drawn.inc()
        self._ages.observe(cache_age_ms / 1e3)
        for stage, elapsed_ms in stages_ms.items():
            self.stage(stage, elapsed_ms)

    def stage(self, name: str, elapsed_ms: float) -> None:
        """Note a stage that a frame went through later, such as `encode`."""
        self._stages.labels(name).observe(elapsed_ms / 1e3)

    def repeated(self) -> None:
        """Note that a still picture was sent again."""
        self._repeated.inc()

    def failed(self) -> None:
        """Note a frame that could not be drawn."""
        self._failed.inc()

    def view(self, accepted: bool) -> None:
        """Note a viewer's pose, and whether it was newer than the one before."""
        self._views[accepted].inc()

    def sent(self, size_bytes: int) -> None:
        """Note a packet of video."""
        self._sent_bytes.inc(size_bytes)

    def admitted(self, waited_s: float) -> None:
        """Note a viewer who got in, perhaps after waiting in the line."""
        self.asked += 1
        self._admitted.inc()
        self._waits.observe(waited_s)

    def refused(self) -> None:
        """Note a viewer who was refused for want of room or of workers."""
        self.asked += 1
        self._refused.inc()
