"""Statistics of one session: counters since its start, and percentiles of its recent frames."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from server.pool.frame import Frame
from server.sessions.recent import Rate, RecentPercentiles


@dataclass
class SessionStatistics:
    """What a session has sent and refused."""

    frames: int = 0
    """New frames, without repeated ones."""
    repeated: int = 0
    failed: int = 0
    refused_meshes: int = 0
    failed_splits: int = 0
    """Splits from a view group for which there was no memory."""
    rate: Rate = field(default_factory=Rate)
    """Frames per second, repeated ones included."""
    refresh_rate: Rate = field(default_factory=Rate)
    """New caches per second."""
    cache_age_ms: RecentPercentiles = field(default_factory=RecentPercentiles)
    stages_ms: defaultdict[str, RecentPercentiles] = field(
        default_factory=lambda: defaultdict(RecentPercentiles)
    )

    def add(self, frame: Frame) -> None:
        """Count a new frame, its cache age and its stages."""
        self.frames += 1
        self.rate.count()
        self.cache_age_ms.add(frame.cache_age_ms)
        for stage, elapsed_ms in frame.stages_ms.items():
            self.stages_ms[stage].add(elapsed_ms)
