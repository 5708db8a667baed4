"""STUN and TURN servers: their addresses and short-lived credentials.

Independent of the WebRTC library. TURN credentials follow coturn's `use-auth-secret`: the user name
is `expiry:name`, the password its HMAC, so that no account is stored and every credential expires.
https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest-00
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from server.errors import SettingsError

LIFETIME_S = 3600
"""Lifetime of credentials. TURN checks them at allocation; an allocation may last longer."""
_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
_STUN = re.compile(rf"stuns?:{_HOST}(?::\d{{1,5}})?")
_TURN = re.compile(rf"turns?:{_HOST}(?::\d{{1,5}})?(?:\?transport=(?:udp|tcp))?")


@dataclass(frozen=True)
class IceServer:
    """One server, as a viewer or the server's own connections use it."""

    url: str
    """`stun:host:port`, or `turn:host:port?transport=udp` (RFC 7064, RFC 7065)."""
    username: str | None = None
    credential: str | None = None


def parse_urls(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of `stun:`, `stuns:`, `turn:` and `turns:` addresses.

    Raises:
        ValueError: If one is not such an address.
    """
    urls = tuple(part.strip() for part in text.split(",") if part.strip())
    for url in urls:
        if not _STUN.fullmatch(url) and not _TURN.fullmatch(url):
            raise ValueError(f"{url!r} is no stun: or turn: address")
    return urls


def turn_credentials(secret: str, name: str, expires_at_s: int) -> tuple[str, str]:
    """Return user name and password that a TURN server with this shared secret accepts.

    Args:
        secret: The server's `static-auth-secret`.
        name: Name of the client, for the TURN server's log.
        expires_at_s: Expiry, Unix time.
    """
    username = f"{expires_at_s}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


@dataclass(frozen=True)
class IceServers:
    """All servers of the settings, with their credentials: a shared secret, or a fixed account."""

    urls: tuple[str, ...] = ()
    secret: str = ""
    username: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        """Check that browsers would accept them.

        Raises:
            SettingsError: If there is a TURN server without credentials.
        """
        has_account = bool(self.username and self.password)
        if any(_TURN.fullmatch(url) for url in self.urls) and not (self.secret or has_account):
            raise SettingsError(
                "a turn: server needs --turn-secret, or --turn-username and --turn-password"
            )
        if not (self.username + self.password).isprintable():
            raise SettingsError("expected --turn-username and --turn-password in printable text")

    def with_credentials_for(self, name: str, now_s: float | None = None) -> tuple[IceServer, ...]:
        """Return the servers with credentials for `name`, in the order of the settings."""
        if self.secret:
            expires_at_s = int(now_s if now_s is not None else time.time()) + LIFETIME_S
            account = turn_credentials(self.secret, name, expires_at_s)
        else:
            account = self.username, self.password
        return tuple(
            IceServer(url, *account) if _TURN.fullmatch(url) else IceServer(url)
            for url in self.urls
        )


def link_values(servers: Sequence[IceServer]) -> list[str]:
    """Return the servers as values of `Link` headers (RFC 9725, section 4.6)."""
    return [_link_value(server) for server in servers]


def _link_value(server: IceServer) -> str:
    parts = [f"<{server.url}>", 'rel="ice-server"']
    if server.username is not None and server.credential is not None:
        parts.append(f"username={_quoted(server.username)}")
        parts.append(f"credential={_quoted(server.credential)}")
        parts.append('credential-type="password"')
    return "; ".join(parts)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
