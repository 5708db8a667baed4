"""Bounds of JSON texts that are checked before a text is parsed.

A validator reports every error of a text, and each takes 10 microseconds and a kilobyte: 16 MB of
ones where objects are expected took 49 seconds. Counting characters takes a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.errors import BadMessageError

MOST_ESCAPES = 2**18
"""Backslashes of a text: 16 MB of base64 have as many where `/` is written as `\\/`."""
LONGEST_GAP = 2**16
"""Characters outside strings without any that structures a text, such as spaces: searching them
takes 5 ns each. Strings take a tenth of that."""
_MARK = re.compile(rb'["\[\]{},]')
_ESCAPED = (rb"\\", rb"\"")
"""A backslash and a quote inside a string, in the order in which they must be replaced."""


def check_values(text: str | bytes, most: int) -> None:
    """Check the number of values and escapes of a JSON text.

    Counts commas and opening brackets, those inside strings too: at least the number of values,
    less one.

    Raises:
        BadMessageError: If there are more than `most`, or more than `MOST_ESCAPES` escapes.
    """
    if isinstance(text, bytes):
        count = text.count(b",") + text.count(b"[") + text.count(b"{")
    else:
        count = text.count(",") + text.count("[") + text.count("{")
    if count > most:
        raise BadMessageError(f"expected at most {most} values, got about {count}")
    check_escapes(text)


def check_escapes(text: str | bytes) -> None:
    """Check the number of escapes of a JSON text; each takes up to 100 ns.

    Raises:
        BadMessageError: If there are more than `MOST_ESCAPES`.
    """
    count = text.count(b"\\") if isinstance(text, bytes) else text.count("\\")
    if count > MOST_ESCAPES:
        raise BadMessageError(f"expected at most {MOST_ESCAPES} escapes, got {count}")


def split_array(text: bytes, most_values: int) -> Iterator[bytes]:
    """Give the elements of a JSON array one by one, without parsing them.

    Args:
        text: Begins with `[`.
        most_values: Limit of each element, which also bounds the time that one step takes.

    Raises:
        BadMessageError: If the array does not end where the text ends, or an element has more than
            `most_values` values.
    """
    marked = _without_escapes(text)
    depth = values = begin = at = 0
    while found := _MARK.search(marked, at, at + LONGEST_GAP):
        mark, at = found[0], found.end()
        if mark == b'"':
            at = _end_of_string(marked, at)
            continue
        values += mark in b",[{"
        depth += (mark in b"[{") - (mark in b"]}")
        if depth == 0:
            yield from _last(text, begin, found)
            return
        if depth == 1 and mark in b",[":
            if mark == b",":
                yield text[begin : found.start()]
            begin, values = at, 0
        elif values > most_values:
            raise BadMessageError(f"expected at most {most_values} values, got more")
    if at + LONGEST_GAP < len(text):
        raise BadMessageError(f"expected at most {LONGEST_GAP} characters between values, got more")
    raise BadMessageError("expected JSON, got an array without an end")


def _without_escapes(text: bytes) -> bytes:
    """Return a text of the same length in which every quote begins or ends a string.

    Raises:
        BadMessageError: If it has too many escapes.
    """
    if b"\\" not in text:
        return text
    check_escapes(text)
    for escaped in _ESCAPED:
        text = text.replace(escaped, b"__")
    return text


def _end_of_string(marked: bytes, begin: int) -> int:
    """Return the position after the quote that ends a string.

    Raises:
        BadMessageError: If there is none.
    """
    end = marked.find(b'"', begin)
    if end < 0:
        raise BadMessageError("expected JSON, got an array without an end")
    return end + 1


def _last(text: bytes, begin: int, end: re.Match[bytes]) -> Iterator[bytes]:
    """Give the last element; none of an empty array."""
    if text[end.end() :].strip():
        raise BadMessageError("expected JSON, got characters after the end of the array")
    element = text[begin : end.start()]
    if element.strip() or text[:begin].strip() != b"[":
        yield element
