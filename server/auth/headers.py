"""Security headers of responses: Content-Security-Policy and others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders, QueryParams
from starlette.types import Scope

TOKEN = "Telewarp-Token"
"""Header of the token that a host sends to a redirected client."""
EXPOSED = (
    *("Location", "ETag", "Link", "Accept-Patch", "Accept-Post", "Allow", "Retry-After"),
    *("WWW-Authenticate", TOKEN),
)
"""Headers that pages of other origins may read; WHEP requires them."""
_TRACKER_WORKER = re.compile(r"/js/tracking/(module|classic)_worker\.js$")


class SecurityHeaders:
    """The security headers of every response.

    Args:
        origins: Other origins that may use the server: they may embed the viewer page, and the page
            may connect to them.
        host_sources: Other hosts that the page may connect to, as CSP host sources.
    """

    def __init__(self, origins: Sequence[str], host_sources: Sequence[str] = ()) -> None:
        trusted = " ".join(("'self'", *origins))
        self._scripts = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            f"media-src 'self' blob:; connect-src {' '.join((trusted, *host_sources))}; "
            f"base-uri 'none'; form-action 'none'; frame-ancestors {trusted}"
        )
        self._scripts_and_wasm = self._scripts.replace(
            "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"
        )

    def add_to(self, headers: MutableHeaders, scope: Scope) -> None:
        """Add them to the headers of the response to a request."""
        headers["Content-Security-Policy"] = (
            self._scripts_and_wasm if _compiles_wasm(scope) else self._scripts
        )
        if "/v1/" in scope["path"]:
            headers.setdefault("Cache-Control", "no-store")  # for the holder of a token
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(self), microphone=(self), geolocation=()"


def _compiles_wasm(scope: Scope) -> bool:
    """Whether the response may compile WebAssembly: the tracker's workers, which have policies of
    their own, and the pages for publishing, calls and capture, which run the tracker where no
    worker starts."""
    path: str = scope["path"]
    if _TRACKER_WORKER.search(path):
        return True
    is_page = path.endswith(("/", "/index.html", "/call.html"))
    query = QueryParams(scope.get("query_string", b""))
    return is_page and any(name in query for name in ("publish", "call", "capture"))
