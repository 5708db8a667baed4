"""JSON texts of clients: bounds that are checked before parsing, and errors in one line.

A validator reports every error of a text, and each takes 10 microseconds and a kilobyte: 16 MB of
ones where objects are expected took 49 seconds. Counting characters takes a millisecond.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from server.errors import BadMessageError

LONGEST_SMALL_MESSAGE = 4096
"""Maximum size of a view, a ping or a request to create a stream, characters; each needs about
200."""
MOST_ESCAPES = 2**18
"""Maximum number of backslashes: 16 MB of base64 have as many if `/` is written as `\\/`."""
LONGEST_GAP = 2**16
"""Maximum run of characters outside strings without structure, such as spaces: searching takes 5 ns
for each. Strings take a tenth of that."""
_MARK = re.compile(rb'["\[\]{},]')
_ESCAPED = (rb"\\", rb"\"")
"""A backslash and a quote inside a string, in the order in which they must be replaced."""
_SHOULD = re.compile(r"([A-Z][a-z]+) should (have|match) (.*?)(?: after validation.*)?$")
_VERBS = {"have": "has", "match": "matches"}
_SMALL_VALUES = 64  # a view has some fifteen, objects and arrays included
_SHOWN_INPUT = 60  # characters of what was received, in an error
BYTE_ORDER_MARK = "\ufeff"
"""Byte order mark that some programs write in front of a text."""
_Parsed = TypeVar("_Parsed")


def parse_small(
    adapter: TypeAdapter[_Parsed], text: str | bytes, longest: int = LONGEST_SMALL_MESSAGE
) -> _Parsed:
    """Read a message of few values and at most `longest` characters.

    Raises:
        BadMessageError: If it is too long or does not fit the adapter's type.
    """
    check_length(text, longest)
    return parse(adapter, text, _SMALL_VALUES)


def parse(adapter: TypeAdapter[_Parsed], text: str | bytes, most_values: int) -> _Parsed:
    """Read a text of at most `most_values` values.

    Raises:
        BadMessageError: If it has more, or does not fit the adapter's type.
    """
    check_values(text, most_values)
    if isinstance(text, bytes):
        text = text.removeprefix(BYTE_ORDER_MARK.encode())
    else:
        text = text.removeprefix(BYTE_ORDER_MARK)
    try:
        return adapter.validate_json(text)
    except ValidationError as exc:
        raise BadMessageError(describe(exc)) from exc


def check_length(text: str | bytes, longest: int) -> None:
    """Check the number of characters.

    Raises:
        BadMessageError: If there are more than `longest`.
    """
    if len(text) > longest:
        raise BadMessageError(f"expected at most {longest} characters, got {len(text)}")


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
    """Yield the elements of a JSON array one by one, without parsing them.

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
    """Yield the last element; none of an empty array."""
    if text[end.end() :].strip():
        raise BadMessageError("expected JSON, got characters after the end of the array")
    element = text[begin : end.start()]
    if element.strip() or text[:begin].strip() != b"[":
        yield element


def describe(error: ValidationError) -> str:
    """Return one line with what was expected and received, for at most three fields."""
    return describe_errors(error.errors(include_url=False))


def describe_errors(found: Sequence[ErrorDetails]) -> str:
    """Like `describe`, for a list of errors."""
    lines = [_describe_one(detail) for detail in found[:3]]
    if len(found) > 3:
        lines.append(f"and {len(found) - 3} more")
    return "; ".join(lines)


def _describe_one(detail: ErrorDetails) -> str:
    # A union's tags are internal, not part of the message.
    parts = [str(part) for part in detail["loc"] if part not in ("by name", "whole")]
    place = ".".join(part[:_SHOWN_INPUT] for part in parts)
    return f"{place}: {_expected_and_got(detail)}" if place else _expected_and_got(detail)


def _expected_and_got(detail: ErrorDetails) -> str:
    message = detail["msg"]
    match detail["type"]:
        case "missing":
            return "expected a value, got nothing"
        case "extra_forbidden":
            return "expected no such field"
        case "json_invalid":
            return f"expected JSON, got an error: {message.removeprefix('Invalid JSON: ')}"
        case "quaternion" | "face":
            return message
        case "union_tag_invalid":
            got = shorten(detail["input"].get("type"))
            return f"expected type {detail['ctx']['expected_tags']}, got {got}"
        case "union_tag_not_found":
            return f"expected an object with a type, got {shorten(detail['input'])}"
    expected = message.replace("Input should be", "expected", 1)
    if found := _SHOULD.match(message):  # "List should have at most 3 items after validation, ..."
        kind = found[1].lower().replace("tuple", "list")
        expected = f"expected a {kind} that {_VERBS[found[2]]} {found[3]}"
    elif not expected.startswith("expected"):
        expected = f"expected otherwise: {message}"
    return f"{expected}, got {shorten(detail['input'])}"


def shorten(value: Any) -> str:
    """Return a received value as JSON, shortened for logs and answers."""
    if isinstance(value, str):
        text = repr(value[: 2 * _SHOWN_INPUT])
    elif value is None or isinstance(value, bool | dict | list):
        text = json.dumps(value)
    else:
        text = repr(value)
    return text if len(text) <= _SHOWN_INPUT else f"{text[:_SHOWN_INPUT]}..."
