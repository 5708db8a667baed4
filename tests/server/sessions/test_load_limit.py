"""The size of frames by load, in simulated time: no test depends on this machine's speed."""

from collections.abc import Callable
from itertools import pairwise

from models.contract.rendition import FRAME_SIZES
from server.sessions.load_limit import FrameLoad, LoadLimit

DISPLAY = 512
FPS = 60.0
SPAN_S = 1.0


class Viewer:
    """A viewer and the server that makes its frames, in simulated time.

    Args:
        took_s: Returns the seconds that a frame with this many rows takes.
        views_per_s: Views that the server receives; it makes at most `FPS` frames per second.
    """

    def __init__(self, took_s: Callable[[int], float], views_per_s: float = FPS) -> None:
        self.limit = LoadLimit(FRAME_SIZES, FPS)
        self.took_s, self.views_per_s = took_s, views_per_s
        self.size, self.now_s, self._due_s = DISPLAY, 0.0, 0.0
        self.changes: list[tuple[float, int]] = []
        """Time and size of each change."""

    def watch(self, until_s: float, idle_s: float = 0.0) -> list[tuple[float, int]]:
        """Make frames, each followed by `idle_s` in which none may begin; return the changes."""
        while self.now_s < until_s:
            began_s = self.now_s
            load = self._load(began_s + SPAN_S, idle_s)
            if self.limit.judge(self.size, load, self.now_s - began_s, self.now_s):
                self.size = min(DISPLAY, self.limit.size or DISPLAY)
                self.changes.append((round(self.now_s, 1), self.size))
        return self.changes

    def _load(self, until_s: float, idle_s: float) -> FrameLoad:
        frames = late = 0
        took_s, began_s, interval_s = 0.0, self.now_s, 1 / min(self.views_per_s, FPS)
        while self.now_s < until_s:
            frames += 1
            late += self.now_s > self._due_s
            self.now_s = max(self.now_s, self._due_s) + self.took_s(self.size)
            took_s += self.took_s(self.size)
            # As in `FramePacing`: at most two missed frames are made up for.
            self._due_s = max(self._due_s + interval_s, self.now_s - interval_s)
            self.now_s += idle_s
        changes = round(self.views_per_s * (self.now_s - began_s))
        return FrameLoad(changes, frames, late, took_s)


def took_s(at_320: float) -> Callable[[int], float]:
    """Return a function that gives the time of a frame by its rows."""
    return lambda size: at_320 * (size / 320) ** 1.4


def test_a_server_that_keeps_the_rate_does_not_change_the_size() -> None:
    assert Viewer(took_s(0.008)).watch(60) == []


def test_the_size_falls_until_the_rate_is_kept() -> None:
    changes = Viewer(took_s(0.010)).watch(120)
    assert [size for _, size in changes] == [384]
    assert 3.0 <= changes[0][0] < 5.0


def test_the_size_falls_to_320_where_no_larger_one_is_fast_enough_and_never_below() -> None:
    assert [size for _, size in Viewer(took_s(0.03)).watch(60)] == [320]
    assert [size for _, size in Viewer(took_s(0.4)).watch(60)] == [320], "under three per second"


def test_the_size_falls_no_further_than_the_views_require() -> None:
    assert [size for _, size in Viewer(took_s(0.020), views_per_s=30).watch(60)] == [384]
    assert [size for _, size in Viewer(took_s(0.010), views_per_s=250).watch(60)] == [384]


def test_a_short_stall_does_not_lower_the_size() -> None:
    viewer = Viewer(took_s(0.008))
    viewer.watch(10)
    for stalled_until_s in (12, 22, 32):
        viewer.took_s = took_s(0.05)
        viewer.watch(stalled_until_s)
        viewer.took_s = took_s(0.008)
        viewer.watch(stalled_until_s + 8)
    assert viewer.changes == []


def test_short_slow_intervals_between_pauses_do_not_lower_the_size() -> None:
    limit = LoadLimit(FRAME_SIZES, FPS)
    for second in range(0, 60, 3):
        assert not limit.judge(DISPLAY, FrameLoad(60, 20, 20, 2.0), 2.0, second + 2.0)
        assert not limit.judge(DISPLAY, FrameLoad(2, 2, 0, 0.1), 1.0, second + 3.0)


def test_fewer_views_than_the_server_can_show_do_not_lower_the_size() -> None:
    assert Viewer(took_s(0.012), views_per_s=30).watch(60) == []


def test_a_slow_network_does_not_lower_the_size() -> None:
    assert Viewer(took_s(0.012)).watch(60, idle_s=0.03) == []


def test_the_size_rises_again_after_10_s_with_enough_time_left() -> None:
    viewer = Viewer(took_s(0.03))
    viewer.watch(20)
    viewer.took_s = took_s(0.006)
    changes = viewer.watch(60)[1:]
    assert [size for _, size in changes] == [384, 512]
    assert changes[0][0] - 20 >= 9.0
    assert changes[1][0] - changes[0][0] >= 9.0


def test_failed_attempts_to_raise_the_size_become_rarer() -> None:
    viewer = Viewer(lambda size: 0.006 if size < 512 else 0.03)
    raised = [at for at, size in viewer.watch(200) if size == 512]
    waits = [later - earlier for earlier, later in pairwise(raised)]
    assert len(raised) == 3
    assert all(later > 1.7 * earlier for earlier, later in pairwise(waits))
