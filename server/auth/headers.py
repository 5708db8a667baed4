"""Headers that tell browsers what the pages served here may do. Knows nothing of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders

TOKEN = "Telewarp-Token"
"""Holds the token that a host gives to whoever a router sent to it."""
EXPOSED = ("Location", "ETag", "Link", "Accept-Patch", "Retry-After", "WWW-Authenticate", TOKEN)
"""What pages of other origins may read of an answer, beside its body; WHEP needs them."""


class Policy:
    """The security headers of every answer.

    Args:
        origins: Pages that may use the server too: they may hold the viewer in a frame, and the
            viewer may be sent on to them.
        reached: Hosts that the page may connect to besides, as CSP's host sources.
    """

    def __init__(self, origins: Sequence[str], reached: Sequence[str] = ()) -> None:
        trusted = " ".join(("'self'", *origins))
        self._page = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            f"media-src 'self' blob:; connect-src {' '.join((trusted, *reached))}; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors {trusted}"
        )

    def add_to(self, headers: MutableHeaders) -> None:
        """Add them to an answer's headers."""
        headers["Content-Security-Policy"] = self._page
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(self), microphone=(self), geolocation=()"
