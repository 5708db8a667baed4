"""Text of untrusted files and requests, sanitized for messages."""

from __future__ import annotations

_LONGEST_QUOTED = 80


def shown(text: object, limit: int = 40) -> str:
    """Return what can be printed on one line: at most `limit` characters, no control characters.

    Names in a file, and errors of its parsers, may contain line breaks, escape sequences of
    terminals and binary data.
    """
    printed = "".join(letter if letter.isprintable() else "?" for letter in str(text)[: limit + 1])
    return printed if len(printed) <= limit else f"{printed[:limit]}..."


def reason(exc: Exception) -> str:
    """Return the text of a parser's error, or its type if there is no text."""
    return shown(exc, 150) if str(exc) else type(exc).__name__


def quoted(text: str) -> str:
    """Return a value of a request in quotes, with escapes: at most its first 80 characters."""
    if len(text) <= _LONGEST_QUOTED:
        return repr(text)
    return f"{text[:_LONGEST_QUOTED]!r}..."
