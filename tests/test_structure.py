"""Limits on the sizes of functions and modules, and the counts that they are compared with."""

from __future__ import annotations

import pytest

from scripts.structure import (
    LONG_FUNCTION_LINES,
    LONG_MODULE_LINES,
    PARTS,
    Module,
    measure,
    modules_here,
    table,
)

KERNELS = "models/kernels/cuda/"
"""A Triton kernel is one function: its steps share registers and masks, and a call cannot return
early."""
SHORT_FUNCTION_LINES = 40
SOURCE = '''
def outer():
    """Comments in strings are none: # like this."""

    @decorated
    async def inner():  # a comment
        # another
        return 1

    return inner
'''


def test_lines_comments_and_nested_functions_are_counted() -> None:
    module = measure("a.py", SOURCE)
    assert (module.lines, module.comments) == (10, 2)
    assert [(function.name, function.lines) for function in module.functions] == [
        ("outer", 9),
        ("inner", 3),
    ]


def test_the_table_has_a_row_per_part_and_one_for_all() -> None:
    modules = [measure(f"{part}/a.py", SOURCE) for part in PARTS]
    rows = table(modules).splitlines()[2:]
    assert len(rows) == len(PARTS) + 1
    assert rows[0] == "| `models/` | 1 | 10 | 6 / 9 / 9 | 0 | 0 | 20.0 |"
    assert rows[-1] == "| all | 3 | 30 | 6 / 9 / 9 | 0 | 0 | 20.0 |"


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return modules_here()


def test_modules_are_short(modules: list[Module]) -> None:
    assert [m.path for m in modules if m.lines > LONG_MODULE_LINES] == []


def test_functions_are_short(modules: list[Module]) -> None:
    functions = [function for module in modules for function in module.functions]
    long = [f for f in functions if f.lines > LONG_FUNCTION_LINES]
    assert [f"{f.module}: {f.name}" for f in long if not f.module.startswith(KERNELS)] == []
    short = sum(function.lines < SHORT_FUNCTION_LINES for function in functions)
    assert short >= 0.9 * len(functions)
