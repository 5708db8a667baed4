"""Origins of web pages, compared as RFC 6454 defines: by scheme, host and port.

A browser writes an origin in lower case and without the default port. Settings, proxies and other
programs write `https://Face.example.org:443` for `https://face.example.org`.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

_OPAQUE = "null"
"""Origin of pages without one, such as those of `file://` and of sandboxed frames."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_origins(text: str) -> tuple[str, ...]:
    """Parse origins with commas between, such as `https://a.example,https://b.example`, or `*`.

    Returns:
        Each as a browser writes it.

    Raises:
        ValueError: If one is not an origin.
    """
    named = (part.strip() for part in text.split(","))
    return tuple(name if name == "*" else normal_origin(name) for name in named if name)


def normal_origin(text: str) -> str:
    """Return an origin as a browser writes it.

    Args:
        text: `SCHEME://HOST:PORT`, also with the default port, capital letters, a host name that
            is not ASCII, or a slash at its end.

    Raises:
        ValueError: If it is not an origin, such as an address with a path or a user name.
    """
    if text == _OPAQUE:
        return text
    try:
        parts = urlsplit(text)
        host = _host_and_port(parts, parts.scheme)
    except ValueError as exc:
        raise ValueError(f"{text!r} is no origin") from exc
    if not parts.scheme or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is no origin")
    return f"{parts.scheme}://{host}"


def is_among(origin: str, allowed: Collection[str]) -> bool:
    """Whether an `Origin` header names one of some origins.

    Args:
        origin: The header's value, in the client's spelling.
        allowed: Origins in the form that `normal_origin` returns.
    """
    try:
        return normal_origin(origin) in allowed
    except ValueError:
        return False


def is_page_of(origin: str, host: str) -> bool:
    """Whether the page of an `Origin` header belongs to the server of a `Host` header.

    Schemes are not compared, because a proxy that ends TLS hides the one of the server.
    """
    try:
        page = urlsplit(normal_origin(origin))
        return page.netloc == _host_and_port(urlsplit(f"//{host}"), page.scheme)
    except ValueError:
        return False


def _host_and_port(parts: SplitResult, scheme: str) -> str:
    """Return `HOST:PORT` in lower case and ASCII, without the default port of a scheme."""
    name = parts.hostname
    if not name or parts.username is not None or parts.password is not None:
        raise ValueError(f"{parts.netloc!r} is no host")
    if not name.isascii():
        name = name.encode("idna").decode()
    host = f"[{name}]" if ":" in name else name
    default = parts.port is None or parts.port == _DEFAULT_PORTS.get(scheme)
    return host if default else f"{host}:{parts.port}"
