"""What a client may do: scopes, on some streams or on all. Knows no web and no tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.errors import ForbiddenError


class Scope(StrEnum):
    """A kind of thing that may be allowed."""

    PUBLISH = "publish"
    """Make and delete streams, and post frames to them."""
    VIEW = "view"
    """Watch streams, by video or by single pictures."""
    DRIVE = "drive"
    """Move the face one watches oneself, instead of its stream."""
    ADMIN = "admin"
    """All of it, figures about the server, and other clients' sessions."""


@dataclass(frozen=True)
class Grant:
    """What one client may do."""

    holder: str
    """Who it is, for the log and for telling whose a session is; never a secret."""
    scopes: frozenset[Scope]
    streams: frozenset[str] | None = None
    """The only streams it is good for; None for all, and for what concerns no stream."""
    expires_at: float | None = None
    """When its token does, `time.time()`; None for never."""
    by_redirect_token: bool = False
    """Whether it came by a router's pass, so that its client has no token to show here again."""

    def allows(self, scope: Scope) -> bool:
        """Whether the scope is granted; `admin` is every scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def covers(self, stream_id: str | None) -> bool:
        """Whether it is good for a stream, or, asked for None, for the server as a whole."""
        return self.streams is None or stream_id in self.streams

    def check_scope(self, *scopes: Scope) -> None:
        """Refuse unless one of the scopes is granted.

        Raises:
            ForbiddenError: If none is.
        """
        if not any(self.allows(scope) for scope in scopes):
            needed, got = " or ".join(scopes), ", ".join(sorted(self.scopes)) or "none"
            raise ForbiddenError(f"expected a token with scope {needed}, got one with {got}")

    def check_stream(self, stream_id: str | None) -> None:
        """Refuse a stream it is not good for, or, given None, the server as a whole.

        Raises:
            ForbiddenError: If so.
        """
        if not self.covers(stream_id):
            what = "every stream" if stream_id is None else f"stream {stream_id!r}"
            limited = ", ".join(sorted(self.streams or ())) or "none"
            raise ForbiddenError(f"expected a token for {what}, got one for: {limited}")

    def may_touch(self, other: Grant) -> bool:
        """Whether it may change what was opened with the other one."""
        return self.holder == other.holder or Scope.ADMIN in self.scopes


ANYONE = Grant("anyone", frozenset(Scope))
"""What every client may do where no tokens are asked for."""
