"""The documentation of each argument and attribute can be read alone.

"Of the frame", "(F, 3)", "like the next two" and "see above" give no meaning without the entries
around them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    file for top in ("models", "server", "scripts") for file in (ROOT / top).rglob("*.py")
)
_ARGUMENTS = re.compile(r"^( *)Args:\n((?:\1 +.*\n?)+)", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+): (.+(?:\n +.+)*)", re.MULTILINE)
_SAYS_NOTHING = re.compile(
    r"^(Of|The same)\b"  # of what: the entry has no noun
    r"|^(As|See) `[^`]+`\W*$"  # only where to look
    r"|\b[Ss]ee (above|below)\b"
    r"|\b([Ll]ike|[Aa]s|as for) (the (next|previous|other)|all others)\b"
    r"|\bof the same\W*$"
    r"|^\([^()]*\)\W*$"  # only a shape
)


def says_something(text: str) -> bool:
    """Return whether the documentation of an argument or attribute can be read alone."""
    return _SAYS_NOTHING.search(" ".join(text.split())) is None


def arguments(docstring: str) -> list[tuple[str, str]]:
    """Return the name and the text of each argument in a docstring of Google's form."""
    section = _ARGUMENTS.search(docstring)
    return [] if section is None else _ENTRY.findall(dedent(section[2]))


def attributes(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of each attribute."""
    for statement, after in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and (text := string(after)):
            yield ast.unparse(statement.target), text


def string(statement: ast.stmt) -> str:
    """Return the text of a statement that is a string, else an empty one."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value.value if isinstance(statement.value.value, str) else ""
    return ""


def empty_entries(source: str) -> list[str]:
    """Return the arguments and attributes of a module whose documentation says nothing."""
    entries: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            entries += arguments(ast.get_docstring(node) or "")
        if isinstance(node, ast.ClassDef):
            entries += attributes(node.body)
    return [
        f"{name}: {' '.join(text.split())}" for name, text in entries if not says_something(text)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Of the frame.",
        "(F, 3).",
        "(H, W)",
        "(V, 2) of `Geometry`, like the next.",
        "(W,) work space, like the next four.",
        "(B, V) of the same.",
        "See above.",
        "See `compose`, like all others but two.",
        "See `FrameRequest`, as for the next field.",
        "See `LivePath`.",
        "As `Strands.points`.",
        "The same for the eye.",
    ],
)
def test_text_without_shape_unit_or_meaning_is_found(text: str) -> None:
    assert not says_something(text)


@pytest.mark.parametrize(
    "text",
    [
        "(F, 3) vertices of each triangle.",
        "Offset of the mask.",
        "Official name.",
        "(V, 3) world, metres.",
        "(32, K) weights of `MotionCode`.",
        "Materials of the same head file.",
        "Rows and columns of the image, see `layered_rows`.",
    ],
)
def test_text_with_a_shape_and_a_meaning_is_accepted(text: str) -> None:
    assert says_something(text)


def test_arguments_and_attributes_of_a_module_are_read() -> None:
    source = '''
def one(a: int, b: int, c: int) -> None:
    """Do something.

    Args:
        a: Of the
            frame.
        b: Number of frames,
            of one viewer.
        c: (3,)

    Raises:
        ValueError: See `two`.
    """


class Two:
    """A record."""

    d: int
    """(3,)"""
    e: int
    """(3,) metres."""
'''
    assert empty_entries(source) == ["a: Of the frame.", "c: (3,)", "d: (3,)"]


def test_modules_are_found() -> None:
    names = {file.relative_to(ROOT).as_posix() for file in MODULES}
    assert {"models/kernels/compose.py", "server/app.py", "scripts/train.py"} <= names


def test_every_argument_and_attribute_says_something() -> None:
    empty = {file.relative_to(ROOT).as_posix(): empty_entries(file.read_text()) for file in MODULES}
    assert {name: entries for name, entries in empty.items() if entries} == {}
