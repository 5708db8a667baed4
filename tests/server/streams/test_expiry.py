"""Unused streams are deleted; the demo and streams in use are not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from server.pool.fake import fake_avatar
from server.protocol.states import neutral_mesh
from server.streams.expiry import expire_streams
from server.streams.streams import Streams

IDLE_S = 0.2
AVATAR = fake_avatar()


async def test_only_unused_streams_are_deleted_and_their_watchers_notified() -> None:
    streams = Streams({AVATAR.id: AVATAR})
    forgotten, demo, watched, published = (
        streams.create(AVATAR.id, name) for name in ("forgotten", "demo", "watched", "published")
    )
    demo.permanent = True
    watched.watchers.append(lambda: None)
    gone: list[float] = []
    forgotten.on_deleted.append(lambda: gone.append(time.monotonic()))
    began = time.monotonic()
    expiring = asyncio.create_task(expire_streams(streams, IDLE_S))
    for seq in range(30):
        mesh = replace(neutral_mesh(AVATAR), seq=seq, received_at=time.monotonic())
        assert published.publish(mesh)
        await asyncio.sleep(0.02)
    assert {stream.id for stream in streams.list()} == {"demo", "watched", "published"}
    assert forgotten.deleted
    assert IDLE_S <= gone[0] - began < 2 * IDLE_S
    watched.watchers.clear()
    await asyncio.sleep(2 * IDLE_S)
    assert [stream.id for stream in streams.list()] == ["demo"]
    expiring.cancel()
