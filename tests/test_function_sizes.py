"""Functions are short: none is longer than 80 lines, and nine of ten are shorter than 40.

Kernels in Triton are exempt: their parameters and the documentation of these take tens of lines.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST, USUAL = 80, 40
"""Lines, from `def` to the last one, parameters and docstring included."""


def lengths(source: str) -> dict[str, int]:
    """Return the lines of each function of a module but Triton's kernels, by line and name."""
    return {
        f"{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno is not None
        and not any(ast.unparse(decorator) == "triton.jit" for decorator in node.decorator_list)
    }


def all_lengths() -> dict[str, int]:
    """Return the lines of all functions of the product, by file, line and name."""
    return {
        f"{file.relative_to(ROOT).as_posix()}:{name}": lines
        for top in ("models", "server", "scripts")
        for file in (ROOT / top).rglob("*.py")
        for name, lines in lengths(file.read_text()).items()
    }


def test_lines_of_functions_and_methods_are_counted() -> None:
    source = """
def one():
    pass

class Two:
    async def three(
        self,
    ):
        return 1

@triton.jit
def kernel():
    pass
"""
    assert lengths(source) == {"2 one": 2, "6 three": 4}


def test_no_function_is_longer_than_a_screen() -> None:
    assert {name: lines for name, lines in all_lengths().items() if lines > LONGEST} == {}


def test_nine_of_ten_functions_are_short() -> None:
    found = sorted(all_lengths().values())
    assert found[len(found) * 9 // 10] < USUAL
