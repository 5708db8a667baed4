"""Frame pacing: frames start when the viewer moves; mesh frames use the remaining rate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from server.sessions.pacing import FramePacing, Wakeup


def view_times(per_s: float, seconds: float, jitter_s: float = 0.0) -> Iterator[float]:
    """Yield arrival times of views, seconds."""
    random = np.random.default_rng(3)
    for index in range(int(per_s * seconds)):
        yield index / per_s + random.uniform(0, jitter_s)


def starts_of_frames(pace: FramePacing, moments: Iterator[float]) -> list[tuple[float, float]]:
    """Return when views arrived and when the first frame that shows them started, seconds."""
    frames: list[tuple[float, float]] = []
    newest = None
    for time_s in moments:
        if newest is not None and pace.view_due_at_s <= time_s:
            begins = max(newest, pace.view_due_at_s)
            pace.view_frame_begins(begins)
            frames.append((newest, begins))
        newest = time_s
        pace.viewer_moved(time_s)
    return frames


@pytest.mark.parametrize("views_per_s", [60, 60.9, 59.1])
def test_views_at_about_the_frame_rate_never_wait(views_per_s: float) -> None:
    frames = starts_of_frames(
        FramePacing(fps=60), view_times(views_per_s, seconds=60, jitter_s=4e-3)
    )
    waits = [begins - came for came, begins in frames]
    assert len(frames) >= 0.999 * views_per_s * 60 - 1
    assert max(waits) < 1e-3


@pytest.mark.parametrize("views_per_s", [75, 120, 144, 1000])
def test_the_frame_rate_never_exceeds_the_maximum(views_per_s: float) -> None:
    frames = starts_of_frames(FramePacing(fps=60), view_times(views_per_s, seconds=20))
    assert 58 * 20 <= len(frames) <= 62 * 20
    gaps = np.diff([begins for _, begins in frames])
    assert np.median(gaps) > 1 / 62


def test_late_views_in_quick_succession_do_not_delay_the_next_ones() -> None:
    late = {10: 0.016, 11: 0.007, 30: 0.015, 31: 0.010}
    moments = [index / 50 + late.get(index, 0.0) for index in range(50)]
    waits = [begins - came for came, begins in starts_of_frames(FramePacing(fps=50), iter(moments))]
    assert len(waits) == 49
    assert max(waits) <= 0


def test_a_mesh_frame_waits_for_a_moving_viewer_but_not_for_one_at_rest() -> None:
    pace = FramePacing(fps=50)
    assert pace.due_at_s == float("-inf")
    pace.viewer_moved(1.0)
    pace.view_frame_begins(1.0)
    assert 1.020 < pace.due_at_s < 1.031
    for _ in range(5):
        pace.frame_begins(1.03)
    assert 1.06 < pace.due_at_s < 1.1


def test_mesh_frames_do_not_delay_views_and_use_the_remaining_rate() -> None:
    pace = FramePacing(fps=50)
    waits, faces = [], 0
    for time_s in view_times(per_s=30, seconds=20):
        while pace.due_at_s < time_s:
            pace.frame_begins(max(pace.due_at_s, time_s - 1e-3))
            faces += 1
        waits.append(pace.view_due_at_s - time_s)
        pace.viewer_moved(time_s)
        pace.view_frame_begins(time_s)
    assert max(waits) <= 0
    assert 15 * 20 <= faces <= 22 * 20


async def test_a_change_ends_the_current_sleep_only() -> None:
    wakeup, loop = Wakeup(), asyncio.get_running_loop()
    wakeup.wake()  # outside any sleep
    asleep = asyncio.ensure_future(wakeup.sleep_until(loop.time() + 60))
    await asyncio.sleep(0)
    assert not asleep.done()
    wakeup.wake()
    wakeup.wake()
    await asleep
    due_at = loop.time() + 0.01
    await wakeup.sleep_until(due_at)
    assert loop.time() >= due_at
