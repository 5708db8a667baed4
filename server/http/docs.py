"""The API documentation page, served without external resources.

Swagger UI (Apache-2.0) from the package `fastapi-offline` (MIT), on our own page: FastAPI's has
an inline script, which the Content-Security-Policy of `server/auth/headers.py` forbids.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Telewarp API</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="docs/swagger-ui.css" />
    <script src="docs/swagger-ui-bundle.js" defer></script>
    <script src="docs/start.js" defer></script>
  </head>
  <body><div id="api"></div></body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // it would be asked elsewhere
});
"""
_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")


def docs_routes() -> Iterator[Route]:
    """Return the routes of `/docs` and its files."""
    with as_file(files("fastapi_offline") / "static") as folder:
        static = StaticFiles(directory=folder)

    async def page(request: Request) -> Response:
        return HTMLResponse(_PAGE)

    async def start(request: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    async def file(request: Request) -> Response:
        return await static.get_response(request.url.path.rsplit("/", 1)[-1], request.scope)

    yield Route("/docs", page, include_in_schema=False)
    yield Route("/docs/start.js", start, include_in_schema=False)
    for name in _FILES:
        yield Route(f"/docs/{name}", file, include_in_schema=False)
