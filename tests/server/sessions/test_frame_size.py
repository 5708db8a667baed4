"""The size of frames for a display, and for one that changes."""

import asyncio

import pytest

from models.contract.rendition import FRAME_SIZES, sizes_up_to
from server.sessions import frame_size
from server.sessions.frame_size import FrameSize, choose_size
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
        self.size = FrameSize(sizes_up_to(320, 768), 320, display_px, self._changed)

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
