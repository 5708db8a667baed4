"""Live bodies end without an error when the server shuts down."""

from __future__ import annotations

import asyncio

import pytest

from server.http.streaming_requests import StreamingRequests


async def test_an_ended_body_is_removed_from_the_streaming_requests() -> None:
    live = StreamingRequests()
    read = []
    async with live.until_ended():
        read.append("line")
    live.end_all()
    assert read == ["line"]


async def test_a_body_still_being_sent_is_abandoned_at_shutdown() -> None:
    live = StreamingRequests()

    async def read() -> str:
        async with live.until_ended():
            await asyncio.sleep(60)
        return "answered"

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    live.end_all()
    assert await asyncio.wait_for(reading, 1) == "answered"


async def test_a_body_that_arrives_after_shutdown_is_not_read() -> None:
    live = StreamingRequests()
    live.end_all()
    async with live.until_ended():
        await asyncio.sleep(60)


async def test_errors_raised_inside_pass_through() -> None:
    live = StreamingRequests()
    with pytest.raises(TimeoutError, match="the reader's own"):
        async with live.until_ended():
            raise TimeoutError("the reader's own")
