"""Security headers of responses: Content-Security-Policy and others."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders

TOKEN = "Telewarp-Token"
"""Header of the token that a host sends to a redirected client."""
EXPOSED = (
    *("Location", "ETag", "Link", "Accept-Patch", "Accept-Post", "Allow", "Retry-After"),
    *("WWW-Authenticate", TOKEN),
)
"""Headers that pages of other origins may read; WHEP requires them."""


class Policy:
    """The security headers of every response.

    Args:
        origins: Other origins that may use the server: they may embed the viewer page, and the page
            may connect to them.
        reached: Other hosts that the page may connect to, as CSP host sources.
    """

    def __init__(self, origins: Sequence[str], reached: Sequence[str] = ()) -> None:
        trusted = " ".join(("'self'", *origins))
        self._page = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            f"media-src 'self' blob:; connect-src {' '.join((trusted, *reached))}; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors {trusted}"
        )

    def add_to(self, headers: MutableHeaders) -> None:
        """Add them to the headers of a response."""
        headers["Content-Security-Policy"] = self._page
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(self), microphone=(self), geolocation=()"
