"""Headers that tell browsers what the pages served here may do. Knows nothing of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders

DESCRIPTION_PAGES = ("/docs", "/redoc")
"""FastAPI's own, which have inline scripts and load their parts from elsewhere."""
EXPOSED = ("Location", "ETag", "Link", "Accept-Patch", "Retry-After", "WWW-Authenticate")
"""What pages of other origins may read of an answer, beside its body; WHEP needs them."""
_CDN = "https://cdn.jsdelivr.net"


class Policy:
    """The security headers of every answer.

    Args:
        origins: Pages that may use the server too: they may hold the viewer in a frame, and the
            viewer may be sent on to them.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        trusted = " ".join(("'self'", *origins))
        common = f"base-uri 'none'; form-action 'none'; frame-ancestors {trusted}"
        self._page = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            f"media-src 'self' blob:; connect-src {trusted}; {common}"
        )
        self._description = (
            f"default-src 'none'; script-src 'self' 'unsafe-inline' {_CDN}; worker-src blob:; "
            f"style-src 'unsafe-inline' {_CDN} https://fonts.googleapis.com; "
            "font-src https://fonts.gstatic.com; "
            "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly; "
            f"connect-src 'self'; {common}"
        )

    def add_to(self, headers: MutableHeaders, path: str) -> None:
        """Add to an answer's headers what its path asks for."""
        described = path.startswith(DESCRIPTION_PAGES)
        headers["Content-Security-Policy"] = self._description if described else self._page
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(self), microphone=(self), geolocation=()"
