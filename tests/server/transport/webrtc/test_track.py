"""The video track: one frame at a time, key frames when needed, logged failures."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from server.errors import NotReadyError, SessionClosedError
from server.pool.fake import fake_state
from server.pool.frame import CacheView, Frame
from server.protocol.states import FrameInputs, ViewState
from server.transport.webrtc.track import KEY_FRAME_INTERVAL_S, RenderTrack


def rendered(view_seq: int | None = 1) -> Frame:
    state = fake_state()
    view = None
    if view_seq is not None:
        view = ViewState(view_seq, None, 0.0, state.eye_rotation, state.eye_position)
    inputs = FrameInputs(revision=1, view=view, mesh=None, state=state)
    return Frame(inputs, CacheView(1, 0.0, state, 0), np.zeros((24, 16), np.uint8), False)


class Source:
    """A source of the frames in its queue."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Frame | Exception] = asyncio.Queue()

    async def next_frame(self) -> Frame:
        frame = await self.frames.get()
        if isinstance(frame, Exception):
            raise frame
        return frame


class EchoEncoder:
    """An encoder that returns its arguments."""

    def encode(
        self, nv12: NDArray[np.uint8], pts: int, key_frame: bool, shown: FrameState
    ) -> tuple[int, bool]:
        return pts, key_frame


class StateEncoder:
    """An encoder that returns what the frame shows."""

    def encode(
        self, nv12: NDArray[np.uint8], pts: int, key_frame: bool, shown: FrameState
    ) -> FrameState:
        return shown


class SlowEncoder:
    """An encoder that takes 0.1 s."""

    def encode(
        self, nv12: NDArray[np.uint8], pts: int, key_frame: bool, shown: FrameState
    ) -> tuple[int, bool]:
        time.sleep(0.1)
        return pts, key_frame


class FailingEncoder:
    """An encoder that fails."""

    def encode(
        self, nv12: NDArray[np.uint8], pts: int, key_frame: bool, shown: FrameState
    ) -> tuple[int, bool]:
        raise RuntimeError("no encoder here")


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def failures() -> list[Exception]:
    return []


@pytest.fixture
def track(
    source: Source, executor: ThreadPoolExecutor, failures: list[Exception]
) -> Iterator[RenderTrack]:
    track = RenderTrack(source, EchoEncoder(), executor, failures.append)
    yield track
    track.stop()


async def test_the_encoder_is_told_what_each_frame_shows(
    source: Source, executor: ThreadPoolExecutor, failures: list[Exception]
) -> None:
    track = RenderTrack(source, StateEncoder(), executor, failures.append)
    frames = [rendered(view_seq) for view_seq in (1, 2)]
    for frame in frames:
        source.frames.put_nowait(frame)
    assert [await track.recv() for _ in frames] == [frame.inputs.state for frame in frames]
    track.stop()


async def test_no_frame_begins_before_the_network_has_room(
    source: Source, executor: ThreadPoolExecutor, failures: list[Exception]
) -> None:
    room = asyncio.Event()

    async def wait_for_room() -> None:
        await room.wait()

    track = RenderTrack(source, EchoEncoder(), executor, failures.append, wait_for_room)
    source.frames.put_nowait(rendered())
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    room.set()
    await asyncio.wait_for(waiting, 1)
    track.stop()


async def test_a_frame_that_waited_for_the_network_is_replaced_by_a_newer_one(
    source: Source, executor: ThreadPoolExecutor, failures: list[Exception]
) -> None:
    room = asyncio.Event()
    room.set()

    async def wait_for_room() -> None:
        await room.wait()

    track = RenderTrack(source, EchoEncoder(), executor, failures.append, wait_for_room)
    first, late, newest = (rendered(view_seq) for view_seq in (1, 2, 3))
    source.frames.put_nowait(first)
    await receive(track)
    room.clear()
    source.frames.put_nowait(late)
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0.06)
    source.frames.put_nowait(newest)
    room.set()
    await asyncio.wait_for(waiting, 1)
    assert track.newest is newest
    track.stop()


async def test_a_session_that_ends_while_the_network_has_no_room_ends_the_track(
    source: Source, executor: ThreadPoolExecutor, failures: list[Exception]
) -> None:
    room = asyncio.Event()
    room.set()

    async def wait_for_room() -> None:
        await room.wait()

    track = RenderTrack(source, EchoEncoder(), executor, failures.append, wait_for_room)
    source.frames.put_nowait(rendered())
    await receive(track)
    room.clear()
    source.frames.put_nowait(SessionClosedError("ended"))
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0.06)
    room.set()
    with pytest.raises(MediaStreamError):
        await asyncio.wait_for(waiting, 1)
    assert failures == []
    track.stop()


async def receive(track: RenderTrack, within_s: float = 1.0) -> tuple[int, bool]:
    pts, is_key = await asyncio.wait_for(track.recv(), within_s)
    return pts, is_key


async def test_timestamps_grow_in_steps_that_browsers_can_show(
    source: Source, track: RenderTrack
) -> None:
    for _ in range(20):
        source.frames.put_nowait(rendered())
    stamps = [(await receive(track))[0] for _ in range(20)]
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
    assert all(stamp % 9 == 0 for stamp in stamps)


async def test_timestamps_follow_the_clock(source: Source, track: RenderTrack) -> None:
    source.frames.put_nowait(rendered())
    first, _ = await receive(track)
    await asyncio.sleep(0.05)
    source.frames.put_nowait(rendered())
    second, _ = await receive(track)
    assert 0.05 <= (second - first) / 90_000 < 0.5


async def test_the_first_frame_is_a_key_frame_and_the_next_is_not(
    source: Source, track: RenderTrack
) -> None:
    for _ in range(2):
        source.frames.put_nowait(rendered())
    assert [(await receive(track))[1] for _ in range(2)] == [True, False]


async def test_key_frames_repeat_until_the_first_view_arrives(
    source: Source, track: RenderTrack
) -> None:
    keys = []
    for view_seq in (None, None, None, 1, 2):
        source.frames.put_nowait(rendered(view_seq))
        keys.append((await receive(track))[1])
        await asyncio.sleep(KEY_FRAME_INTERVAL_S * 1.1)
    assert keys == [True, True, True, False, False]


async def test_a_requested_key_frame_is_sent_without_a_new_frame(
    source: Source, track: RenderTrack
) -> None:
    source.frames.put_nowait(rendered())
    first, _ = await receive(track)
    waiting = asyncio.create_task(receive(track))
    await asyncio.sleep(KEY_FRAME_INTERVAL_S * 1.2)
    track.request_key_frame()
    second, is_key = await asyncio.wait_for(waiting, 1.0)
    assert is_key
    assert second > first


async def test_frequent_key_frame_requests_are_spaced(source: Source, track: RenderTrack) -> None:
    began = time.monotonic()  # before the first one, whose time is known to the track only
    source.frames.put_nowait(rendered())
    await receive(track)
    track.request_key_frame()
    _, is_key = await receive(track)
    assert is_key
    assert time.monotonic() - began >= KEY_FRAME_INTERVAL_S


async def test_a_frame_that_arrives_during_a_key_frame_is_not_lost(
    source: Source, track: RenderTrack
) -> None:
    source.frames.put_nowait(rendered(1))
    await receive(track)
    await asyncio.sleep(KEY_FRAME_INTERVAL_S * 1.1)
    track.request_key_frame()
    await receive(track)  # repeats the first image while the source is awaited
    source.frames.put_nowait(rendered(2))
    await receive(track)
    assert track.newest is not None
    assert track.newest.view_seq == 2


async def test_the_next_frame_is_rendered_during_encoding(
    source: Source, executor: ThreadPoolExecutor, failures: list[Exception]
) -> None:
    track = RenderTrack(source, SlowEncoder(), executor, failures.append)
    source.frames.put_nowait(rendered(1))
    encoding = asyncio.create_task(receive(track))
    await asyncio.sleep(0.02)
    source.frames.put_nowait(rendered(2))
    await asyncio.sleep(0.02)
    assert not encoding.done()
    assert source.frames.empty(), "the frame was not taken"
    source.frames.put_nowait(rendered(3))
    await asyncio.sleep(0.02)
    assert source.frames.qsize() == 1, "more than one frame waits for the encoder"
    await encoding
    track.stop()


async def test_the_end_of_the_session_ends_the_track_without_an_error(
    source: Source, track: RenderTrack, failures: list[Exception]
) -> None:
    source.frames.put_nowait(SessionClosedError("over"))
    with pytest.raises(MediaStreamError):
        await receive(track)
    assert failures == []


async def test_a_failing_source_is_logged_and_reported(
    source: Source,
    track: RenderTrack,
    failures: list[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    source.frames.put_nowait(RuntimeError("out of paint"))
    with pytest.raises(MediaStreamError):
        await receive(track)
    assert [str(failure) for failure in failures] == ["out of paint"]
    assert "out of paint" in caplog.text


async def test_a_failing_encoder_is_reported(
    source: Source, executor: ThreadPoolExecutor, failures: list[Exception]
) -> None:
    track = RenderTrack(source, FailingEncoder(), executor, failures.append)
    source.frames.put_nowait(rendered())
    with pytest.raises(MediaStreamError):
        await receive(track)
    assert [str(failure) for failure in failures] == ["no encoder here"]


async def test_the_reason_for_the_end_of_video_is_logged_in_one_line(
    source: Source,
    track: RenderTrack,
    failures: list[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    source.frames.put_nowait(NotReadyError("no frame within 20 s: the worker is away"))
    with pytest.raises(MediaStreamError):
        await receive(track)
    assert [str(failure) for failure in failures] == ["no frame within 20 s: the worker is away"]
    (logged,) = caplog.records
    assert (logged.levelname, logged.exc_info) == ("WARNING", None)
    assert logged.getMessage() == "no more video: no frame within 20 s: the worker is away"


async def test_a_stopped_track_gives_no_more_frames(source: Source, track: RenderTrack) -> None:
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0.01)
    track.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(MediaStreamError):
        await track.recv()
