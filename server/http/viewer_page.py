"""Static files of the viewer page, from `client_web`."""

from __future__ import annotations

from pathlib import Path

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

_PRIVATE = {"package.json", "node_modules", "tests", "README.md"}

_CALL_PAGE = "call.html"
_NOT_PLAIN = {"", ".", ".."}


class _ClientPath(Convertor[str]):
    """Matches every path outside the API, so that API paths keep their own 404 and 405."""

    regex = r"(?!v1/).*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("client", _ClientPath())


def viewer_route(folder: Path) -> Route:
    """Return a route that serves the files of a folder, a page for the folder itself.

    The page is `index.html`, or that of calls if the query names one (`/?call=NAME`).
    """
    files = StaticFiles(directory=folder, html=True)

    async def serve(request: Request) -> Response:
        path: str = request.path_params["path"]
        # Only plain paths are served: `./package.json` and `js//../tests` name private files too.
        parts = path.removesuffix("/").split("/") if path else []
        if not _PRIVATE.isdisjoint(parts) or any(part in _NOT_PLAIN for part in parts):
            raise HTTPException(404)
        if not path and "call" in request.query_params:
            path = _CALL_PAGE
        response = await files.get_response(path or ".", request.scope)
        # Cached by the browser but revalidated each time: an updated server needs the new page.
        response.headers["Cache-Control"] = "no-cache"
        return response

    return Route("/{path:client}", serve, methods=["GET"], include_in_schema=False)
