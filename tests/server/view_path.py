"""Traces which files of the project run from the message of a view to the packet of its frame.

A profile function records the functions that are called on the event loop and in the threads of
executors: files that run, not files that are imported. Kernels compiled by numba run without
Python frames and are not recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import thread
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from aiortc import RTCDtlsTransport, RTCSctpTransport
from aiortc.rtp import is_rtcp

ROOT = Path(__file__).resolve().parents[2]
_OURS = (f"{ROOT}/server/", f"{ROOT}/models/")
_VIEW_MARK = b'"view"'


class ViewPath:
    """Records the functions that run between the newest view's message and each packet after it."""

    def __init__(self) -> None:
        self.by_timestamp: dict[int, frozenset[CodeType]] = {}
        """By RTP timestamp: functions that had run when the last packet of that frame was sent."""
        self.active = False
        """Whether a view has arrived."""
        self._called: set[CodeType] = set()

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        """Record a function that starts or resumes."""
        if event == "call":
            self._called.add(frame.f_code)

    def begin(self) -> None:
        """Discard earlier functions; profile this thread, the event loop's, from now on.

        Not earlier, because profiling makes the server's start several times slower.
        """
        self._called.clear()
        self.active = True
        sys.setprofile(self.profile)

    def packet_sent(self, data: bytes) -> None:
        """Store the functions so far, if this packet is the last of its frame."""
        if not is_rtcp(data) and data[1] & 0x80:
            timestamp = int.from_bytes(data[4:8], "big")
            self.by_timestamp.setdefault(timestamp, frozenset(self._called))


def files_of(functions: frozenset[CodeType]) -> dict[str, list[str]]:
    """Return files of server/ and models/, relative to the root, with the functions that ran."""
    found: dict[str, list[str]] = {}
    for code in functions:
        if code.co_filename.startswith(_OURS):
            file = Path(code.co_filename).relative_to(ROOT).as_posix()
            found.setdefault(file, []).append(code.co_qualname)
    return {file: sorted(found[file]) for file in sorted(found)}


@contextmanager
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[ViewPath]:
    """Trace each view that a server in this process receives within the block."""
    path = ViewPath()
    receive, send = RTCSctpTransport._data_channel_receive, RTCDtlsTransport._send_rtp
    run = thread._WorkItem.run  # private: the start of a call in a thread of an executor

    async def receive_message(self: RTCSctpTransport, *message: Any) -> None:
        if _VIEW_MARK in message[-1]:
            path.begin()
        await receive(self, *message)

    async def send_packet(self: RTCDtlsTransport, data: bytes) -> None:
        path.packet_sent(data)
        await send(self, data)

    def run_item(self: thread._WorkItem[Any]) -> None:
        if path.active:
            sys.setprofile(path.profile)
        run(self)

    # Both are functions of aiortc, so that the trace starts and ends outside the project's code.
    monkeypatch.setattr(RTCSctpTransport, "_data_channel_receive", receive_message)
    monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", send_packet)
    monkeypatch.setattr(thread._WorkItem, "run", run_item)
    yield path
