"""Grants: scopes, on some streams or on all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.errors import ForbiddenError


class Scope(StrEnum):
    """A kind of action that a token allows."""

    PUBLISH = "publish"
    """Create and delete streams, and publish frames to them."""
    VIEW = "view"
    """Watch streams, by video, JPEG fallback or still images."""
    DRIVE = "drive"
    """Drive the face of one's own session instead of its stream."""
    ADMIN = "admin"
    """All scopes, and other clients' sessions; on all streams also statistics of the server."""


@dataclass(frozen=True)
class Grant:
    """What one client may do."""

    holder: str
    """Name of the client, for the log and for ownership of sessions; never a secret."""
    scopes: frozenset[Scope]
    streams: frozenset[str] | None = None
    """Streams that it is limited to; None for all."""
    expires_at: float | None = None
    """Expiry of its token, `time.time()` seconds; None for never."""
    by_redirect_token: bool = False
    """Whether it comes from a redirect token, so that the client needs a new token."""
    address: str = ""
    """Address of the client, of IPv6 its /64 network; limits count by it."""

    def allows(self, scope: Scope) -> bool:
        """Whether the scope is granted; `admin` is every scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, stream_id: str | None) -> bool:
        """Whether it is valid for a stream, or, for None, for the whole server.

        A grant for a name covers the streams of the call of that name, `NAME:...`, too; no other
        stream's id contains a colon.
        """
        if self.streams is None:
            return True
        return stream_id is not None and not self.streams.isdisjoint(
            (stream_id, stream_id.partition(":")[0])
        )

    def check_scope(self, *scopes: Scope) -> None:
        """Check that one of the scopes is granted.

        Raises:
            ForbiddenError: If none is.
        """
        if not any(self.allows(scope) for scope in scopes):
            needed, got = " or ".join(scopes), ", ".join(sorted(self.scopes)) or "none"
            raise ForbiddenError(f"expected a token with scope {needed}, got one with {got}")

    def check_stream(self, stream_id: str | None) -> None:
        """Check that it is valid for a stream, or, for None, for the whole server.

        Raises:
            ForbiddenError: If it is not valid for it.
        """
        if not self.covers(stream_id):
            what = "every stream" if stream_id is None else f"stream {stream_id!r}"
            limited = ", ".join(sorted(self.streams or ())) or "none"
            raise ForbiddenError(f"expected a token for {what}, got one for: {limited}")

    def may_access(self, other: Grant, stream_id: str | None = None) -> bool:
        """Whether it may access a session, publication or ticket that another grant opened.

        Args:
            other: The grant that opened it.
            stream_id: The stream it belongs to; None if it belongs to none, as a ticket.
        """
        if self.holder == other.holder:
            return stream_id is None or self.covers(stream_id)
        return Scope.ADMIN in self.scopes and self.covers(stream_id)


ANYONE = Grant("anyone", frozenset(Scope))
"""The grant of every client where no tokens are required."""
