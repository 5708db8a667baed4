"""Untrusted text in messages."""

from __future__ import annotations

import pytest

from models.contract.shown_text import quoted, shown


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("jawOpen", "jawOpen"),
        ("a\nb\x1b[31m\0\u2028", "a?b?[31m??"),
        ("x" * 41, "x" * 40 + "..."),
        (None, "None"),
    ],
)
def test_shown_texts_are_short_and_printable(given: object, expected: str) -> None:
    assert shown(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a b", "'a b'"), ("a\r\n\0", r"'a\r\n\x00'"), ("\ud800", r"'\ud800'")],
)
def test_quoted_texts_are_escaped(given: str, expected: str) -> None:
    assert quoted(given) == expected


def test_quoted_texts_are_cut_off() -> None:
    assert quoted("x" * 80) == f"'{'x' * 80}'"
    assert quoted("x" * 81) == f"'{'x' * 80}'..."
