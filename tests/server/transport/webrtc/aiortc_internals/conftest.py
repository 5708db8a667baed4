"""Connections for the tests of the limits."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.transport.webrtc.aiortc_internals.limited_pair import Pair


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    yield pair
    await pair.viewer.close()
    await pair.server.close()
