"""Which size of frames a server is fast enough for, judged by the frames that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LEAST_BY_LOAD = 320
"""Load never lowers the size below this: 256 saves a quarter of the time, and is visibly softer."""

_FEWEST_PER_S = 5.0
"""Views and faces; while there are fewer, hardly anything moves, so the time of a frame does not
show whether the server is too slow."""
_LATE, _BUSY = 0.8, 0.8
"""Parts of the frames that are late, and of the time that is spent on frames, from which the server
is too slow. Frames that are late although little time is spent on them wait for the network, which
smaller ones would not help as much as a lower bitrate does."""
_SLOW_S = 3.0
"""How long a server must be too slow: longer than caches of a new size or other avatars load."""
_ROOM = 0.85
"""Part of the time that frames of another size may take; the rest is for what other programs do."""
_GROWTH = 1.4
"""Exponent of the time of a frame by its rows, from 320 to 768 (`scripts/benchmark.py sizes`)."""
_PATIENCE_S, _LONGEST_PATIENCE_S = 10.0, 160.0
"""How long there must be time left for larger frames; doubled by each attempt that fails."""
_FAILED_S = 60.0
"""Frames that become smaller again within this time were an attempt that has failed."""


class FrameLoad(NamedTuple):
    """Number of changes and frames of a viewer, and the time that the frames took."""

    changes: int
    """Views and faces that were received, not only those that were shown."""
    frames: int
    """New frames, without repeated ones."""
    late: int
    """How many of them were due before the previous one was there."""
    took_s: float
    """Between requests and frames: the warps, waiting for those of other viewers, and for
    threads."""

    def since(self, earlier: FrameLoad) -> FrameLoad:
        """Return what has been added to an earlier sum."""
        return FrameLoad(
            self.changes - earlier.changes,
            self.frames - earlier.frames,
            self.late - earlier.late,
            self.took_s - earlier.took_s,
        )


class LoadLimit:
    """The largest size at which a server makes frames as fast as a viewer's views and faces change.

    While nearly all frames are late, and making them takes nearly all of the time, a frame takes
    longer than the changes that it is to show. The limit then falls to the size that should be fast
    enough. It rises again by one size after a while with time left for larger frames, later after
    each attempt that fails.

    Args:
        sizes: The available sizes, in increasing order.
        fps: Maximum number of frames per second.
    """

    def __init__(self, sizes: Sequence[int], fps: float) -> None:
        self.size: int | None = None
        """Rows and columns; None for no limit."""
        self._sizes = [size for size in sizes if size >= LEAST_BY_LOAD]
        self._fps = fps
        self._slow_s = self._free_s = 0.0
        self._patience_s = _PATIENCE_S
        self._raised_at = float("-inf")

    @property
    def may_fall(self) -> bool:
        """Whether there are sizes that load may lower."""
        return len(self._sizes) > 1

    def forget(self) -> None:
        """Drop the limit, as no larger frames are needed."""
        self.size = None
        self._slow_s = self._free_s = 0.0

    def judge(self, size: int, load: FrameLoad, span_s: float, now_s: float) -> bool:
        """Take the frames of an interval into account.

        Args:
            size: Their rows.
            load: The changes that they were to show, and the time that they took.
            span_s: Length of the interval, seconds.
            now_s: End of the interval, seconds.

        Returns:
            Whether the limit has changed.
        """
        if load.changes < _FEWEST_PER_S * span_s or not load.frames:
            self._slow_s = 0.0
            return False
        busy = load.took_s / span_s
        slow = load.late >= _LATE * load.frames and busy >= _BUSY
        larger = min((s for s in self._sizes if s > size), default=None)
        free = larger is not None and _scaled(busy, size, larger) <= _ROOM
        self._slow_s = self._slow_s + span_s if slow else 0.0
        self._free_s = self._free_s + span_s if free else 0.0
        if self._slow_s >= _SLOW_S:
            wanted = min(load.changes / span_s, self._fps)
            return self._lower(size, wanted * load.took_s / load.frames, now_s)
        if self.size is None or self._free_s < self._patience_s:
            return False
        self.size, self._free_s, self._raised_at = larger, 0.0, now_s
        return True

    def _lower(self, size: int, busy_if_kept: float, now_s: float) -> bool:
        """Lower the limit.

        Args:
            size: The rows of the present frames.
            busy_if_kept: Part of the time that they would take if each change were shown.
            now_s: The present time.

        Returns:
            Whether there is a smaller size.
        """
        smaller = [s for s in self._sizes if s < size]
        if not smaller:
            return False
        enough = [s for s in smaller if _scaled(busy_if_kept, size, s) <= _ROOM]
        self.size, self._slow_s = max(enough, default=smaller[0]), 0.0
        failed = now_s - self._raised_at < _FAILED_S
        self._patience_s = min(2 * self._patience_s, _LONGEST_PATIENCE_S) if failed else _PATIENCE_S
        return True


def _scaled(busy: float, size: int, other: int) -> float:
    """Return the part of the time that frames of another size take."""
    return busy * float((other / size) ** _GROWTH)
