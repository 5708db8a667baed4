"""The size of frames for a display, and for one that changes."""

import asyncio
from typing import NoReturn

import pytest

from models.contract.rendition import FRAME_SIZES, sizes_up_to
from server.sessions import frame_size, load_limit
from server.sessions.frame_size import FrameSize, choose_size
from server.sessions.load_limit import FrameLoad
from tests.server.sessions.fake_server import until


@pytest.mark.parametrize(
    ("resolution", "largest", "smallest", "expected"),
    [
        (320, None, 0, (256, 320)),
        (192, None, 0, (192,)),
        (416, None, 0, (256, 320, 384, 416)),
        (320, 256, 0, (256,)),
        (192, 256, 0, (192, 256)),
        (320, 768, 0, FRAME_SIZES),
        (1024, None, 0, (*FRAME_SIZES, 1024)),
        (416, 512, 300, (320, 384, 416, 512)),
        (416, None, 416, (416,)),
        (320, 384, 512, (384,)),
    ],
)
def test_sizes_go_up_to_the_avatars_size_or_between_the_limits(
    resolution: int, largest: int | None, smallest: int, expected: tuple[int, ...]
) -> None:
    assert sizes_up_to(resolution, largest, smallest) == expected


@pytest.mark.parametrize(
    ("display_px", "largest", "expected"),
    [
        (0, None, 320),
        (0, 768, 320),
        (0, 256, 256),
        (96, None, 256),
        (281, None, 256),
        (282, None, 320),
        (1170, None, 320),
        (400, 768, 384),
        (800, 768, 768),
        (1170, 768, 768),
    ],
)
def test_a_display_gets_the_smallest_size_without_visible_enlargement(
    display_px: int, largest: int | None, expected: int
) -> None:
    assert choose_size(sizes_up_to(320, largest), 320, display_px) == expected


class RecordedFrameSize:
    """A frame size, and its earlier values."""

    def __init__(self, display_px: int) -> None:
        self.sizes: list[int] = []
        self.size = FrameSize(sizes_up_to(320, 768), 320, display_px, 60.0, self._changed)

    def _changed(self) -> None:
        self.sizes.append(self.size.size)


async def test_a_display_at_a_threshold_does_not_change_the_size_repeatedly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_size, "CHANGE_INTERVAL_S", 0.0)
    followed = RecordedFrameSize(281)
    for display_px in (281, 283, 281, 283, 281, 257):
        followed.size.set_display(display_px)
        await asyncio.sleep(0.002)
    assert followed.sizes == [320]
    followed.size.set_display(256)
    await until(lambda: followed.sizes == [320, 256])
    followed.size.set_display(2000)
    await until(lambda: followed.sizes == [320, 256, 768])


async def test_of_several_display_sizes_within_the_interval_the_newest_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_size, "CHANGE_INTERVAL_S", 0.2)
    followed, loop = RecordedFrameSize(300), asyncio.get_running_loop()
    followed.size.set_display(600)
    await until(lambda: followed.sizes == [640])
    changed_at = loop.time()
    for display_px in (200, 700, 380):
        followed.size.set_display(display_px)
    await until(lambda: len(followed.sizes) == 2)
    assert followed.sizes == [640, 384]
    assert loop.time() - changed_at >= 0.15
    followed.size.set_display(700)
    followed.size.close()
    await asyncio.sleep(0.25)
    assert followed.sizes == [640, 384], "the size changed after the session had ended"


class SimulatedLoad:
    """Measures simulated frames of a viewer: the newest size, and 1000 more frames each time."""

    def __init__(self, frame_size: FrameSize) -> None:
        self._frame_size = frame_size
        self.rows: int | None = None
        """Rows of the newest frame; None for the size that frames should have."""
        self._load = FrameLoad(0, 0, 0, 0.0)
        self.frame_s = 0.02
        """Seconds that each frame takes, all of which are late; 0: no time, and none is late."""
        self.reports = 0

    def measure(self) -> tuple[int, FrameLoad]:
        self.reports += 1
        # So many frames take all of the time, however long ago the last measurement was.
        changes, frames, late, took_s = self._load
        late += 1000 if self.frame_s else 0
        self._load = FrameLoad(changes + 1000, frames + 1000, late, took_s + 1000 * self.frame_s)
        return self.rows or self._frame_size.size, self._load


@pytest.fixture
def quick_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_size, "CHANGE_INTERVAL_S", 0.0)
    monkeypatch.setattr(frame_size, "_SPAN_S", 0.001)
    monkeypatch.setattr(load_limit, "_SLOW_S", 0.01)
    monkeypatch.setattr(load_limit, "_PATIENCE_S", 0.02)


@pytest.mark.usefixtures("quick_to_judge")
async def test_load_lowers_the_size_to_320_and_it_rises_again_after_the_load() -> None:
    followed, limits = RecordedFrameSize(512), list[bool]()
    load = SimulatedLoad(followed.size)
    assert (followed.size.size, followed.size.lowered_from) == (512, None)
    followed.size.watch_load(load.measure, limits.append)
    await until(lambda: followed.size.size == 320)
    assert (followed.sizes, followed.size.lowered_from) == ([384, 320], 512)
    await until(lambda: load.reports > 60)
    assert followed.sizes == [384, 320], "frames became smaller than 320"
    load.frame_s = 0.0
    await until(lambda: followed.size.lowered_from is None)
    assert followed.sizes == [384, 320, 384, 512]
    assert limits == [False, False, True, True]
    followed.size.close()


@pytest.mark.usefixtures("quick_to_judge")
async def test_a_display_that_needs_no_more_than_the_limit_removes_it() -> None:
    followed = RecordedFrameSize(640)
    load = SimulatedLoad(followed.size)
    load.frame_s = 0.017
    followed.size.watch_load(load.measure, lambda _: None)
    await until(lambda: followed.size.size == 512)
    load.rows = 640  # frames of the old size, which are not judged
    followed.size.set_display(512)
    await until(lambda: followed.size.lowered_from is None)
    followed.size.set_display(640)
    await until(lambda: followed.size.size == 640)
    followed.size.close()


@pytest.mark.usefixtures("quick_to_judge")
@pytest.mark.parametrize(("display_px", "rows"), [(0, None), (320, None), (250, None), (512, 384)])
async def test_load_does_not_lower_320_nor_frames_for_unknown_displays_or_of_an_earlier_size(
    display_px: int, rows: int | None
) -> None:
    followed = RecordedFrameSize(display_px)
    load = SimulatedLoad(followed.size)
    load.rows = rows
    followed.size.watch_load(load.measure, unexpected)
    await until(lambda: load.reports > 40)
    assert followed.sizes == []
    followed.size.close()


async def test_the_load_is_not_measured_without_sizes_above_320() -> None:
    limited = FrameSize(sizes_up_to(320, None), 320, 768, 60.0, lambda: None)
    limited.watch_load(unexpected, unexpected)
    limited.close()


def unexpected(*_: object) -> NoReturn:
    raise AssertionError("the load has been judged")
