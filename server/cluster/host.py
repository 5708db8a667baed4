"""HTTP client for a host: reads its load and creates streams on it."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable

from server.auth.grants import Scope
from server.auth.tokens import Tokens
from server.protocol.host_load import HeldStream, HostLoad

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 1.0
_ANSWER_S = 2.0
_TOKEN_MINUTES = 1.0

Renew = Callable[[str, HostLoad], Awaitable[Iterable[HeldStream]]]
"""Reports the load of a host to the registry; returns the streams that it must create."""


class Host:
    """HTTP client for one host, used by its supervisor or router.

    Args:
        address: `http://HOST:PORT`.
        tokens: Signs the tokens of requests; None if the host requires none.
    """

    def __init__(self, address: str, tokens: Tokens | None) -> None:
        self.address = address
        self._tokens = tokens

    async def load(self) -> HostLoad:
        """Return its load.

        Raises:
            OSError: If it does not answer, or refuses the request.
        """
        return HostLoad.model_validate_json(
            await asyncio.to_thread(self._request, "/v1/load", None)
        )

    async def create_stream(self, stream: HeldStream) -> None:
        """Create a stream on the host unless it exists.

        Raises:
            OSError: If it does not answer, or refuses the request.
        """
        try:
            await asyncio.to_thread(self._request, "/v1/streams", stream.model_dump())
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code != 409:  # it exists
                    raise

    async def poll(self, renew: Renew) -> None:
        """Report the load once, and create the streams that the registry returns.

        Raises:
            OSError: If it does not answer, or refuses the request.
        """
        load = await self.load()
        for stream in await renew(load.address or self.address, load):
            logger.info("%s takes over stream %s", self.address, stream.id)
            await self.create_stream(stream)

    def _request(self, path: str, body: object) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._tokens is not None:
            token = self._tokens.sign([Scope.ADMIN], None, _TOKEN_MINUTES)
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            self.address + path,
            None if body is None else json.dumps(body).encode(),
            headers,
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as response:
            answer: bytes = response.read()
            return answer
