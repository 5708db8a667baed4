"""Reading bodies within limits, and describing bodies and errors in OpenAPI.

Bodies are read raw and parsed by `server.protocol.messages`, never by FastAPI: its parser has no
limit, accepts NaN, and coerces types.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request

from models.contract.shown_text import shown
from server.errors import ContentEncodingError, MediaTypeError, TooLargeError

JSON = "application/json"
NDJSON = "application/x-ndjson"
PNG = "image/png"
SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
PROBLEM = "application/problem+json"

PROBLEM_CONTENT = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def media_type(request: Request) -> str:
    """Return the media type of the body in lower case, without parameters; empty if missing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_media_type(request: Request, *expected: str) -> str:
    """Check the media type of the body.

    Returns:
        The type.

    Raises:
        MediaTypeError: If it is none of `expected`.
    """
    got = media_type(request)
    if got not in expected:
        raise MediaTypeError(f"expected Content-Type {' or '.join(expected)}, got {got or 'none'}")
    return got


def require_no_encoding(request: Request) -> None:
    """Refuse compressed bodies: a small one could decompress to one of any size.

    Raises:
        ContentEncodingError: If the body has an encoding other than `identity`.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise ContentEncodingError(f"expected no Content-Encoding, got {shown(encoding)}")


async def read_body(request: Request, largest: int) -> bytes:
    """Read a whole body.

    Raises:
        ContentEncodingError: If it is compressed.
        TooLargeError: As soon as it is known to be larger than `largest` bytes.
    """
    require_no_encoding(request)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > largest:
        raise TooLargeError(f"expected a body of at most {largest} bytes, got {announced}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise TooLargeError(f"expected a body of at most {largest} bytes, got more")
    return bytes(body)


async def read_lines(request: Request, longest: int) -> AsyncIterator[tuple[int, bytes]]:
    """Yield a body's lines as they arrive, each with its number from 1; empty ones are left out.

    Raises:
        ContentEncodingError: If it is compressed.
        TooLargeError: If a line is longer than `longest` bytes.
    """
    require_no_encoding(request)
    read = 0
    rest = b""
    async for chunk in request.stream():
        *lines, rest = (rest + chunk).split(b"\n")
        for number, line in enumerate(lines, read + 1):
            if not line.strip():
                continue  # checked first, because one chunk may have 65 000 of them
            _check_length(line, number, longest)
            yield number, line
        read += len(lines)
        _check_length(rest, read + 1, longest)
    if rest.strip():
        yield read + 1, rest


def _check_length(line: bytes, number: int, longest: int) -> None:
    if len(line) > longest:
        raise TooLargeError(f"line {number}: expected at most {longest} bytes, got more")


def body_of(**schemas: str) -> dict[str, Any]:
    """Describe a raw body to OpenAPI; `json="MeshFrame"` names a schema of `protocol.messages`."""
    types = {"json": JSON, "ndjson": NDJSON, "sdp": SDP, "fragment": SDP_FRAGMENT}
    content = {
        types[kind]: {
            "schema": {"$ref": f"#/components/schemas/{name}"} if name else {"type": "string"}
        }
        for kind, name in schemas.items()
    }
    return {"requestBody": {"required": True, "content": content}}


def problems(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """Describe errors to OpenAPI: `problems(_404="no such stream")`."""
    return {
        int(status.lstrip("_")): {"description": reason, "content": PROBLEM_CONTENT}
        for status, reason in reasons.items()
    }


def described(status: int, description: str, content_type: str) -> dict[int | str, dict[str, Any]]:
    """Describe an answer that is no JSON to OpenAPI."""
    return {status: {"description": description, "content": {content_type: {}}}}
