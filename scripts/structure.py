"""Sizes of functions and modules, and number of comments, of the files here or of a commit.

    .venv/bin/python scripts/structure.py
    .venv/bin/python scripts/structure.py --commit a612b93

Prints one row per part of the project and one for all, as a Markdown table. Tests are not counted.
The limits in `tests/test_structure.py` use the same counts.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tarfile
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("models", "server", "scripts")
LONG_MODULE_LINES = 400
LONG_FUNCTION_LINES = 80


@dataclass(frozen=True)
class Function:
    """A function or method, nested ones included."""

    module: str
    """Path of its file, relative to the project."""
    name: str
    lines: int
    """From `def` (decorators excluded) to its end, with docstring, comments and blank lines."""


@dataclass(frozen=True)
class Module:
    """A Python file."""

    path: str
    """Relative to the project."""
    lines: int
    comments: int
    """Lines that are a comment or end in one; docstrings are none."""
    functions: tuple[Function, ...]


def measure(path: str, source: str) -> Module:
    """Count the lines, comments and functions of a file.

    Args:
        path: Relative to the project.
        source: The file's text.
    """
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = sum(token.type == tokenize.COMMENT for token in tokens)
    functions = tuple(
        Function(path, node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return Module(path, len(source.splitlines()), comments, functions)


def modules_here() -> list[Module]:
    """Measure the files of this checkout."""
    paths = (path for part in PARTS for path in sorted((ROOT / part).rglob("*.py")))
    return [measure(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]


def modules_of(commit: str) -> list[Module]:
    """Measure the files of a commit.

    Raises:
        subprocess.CalledProcessError: The commit does not exist, or lacks a part.
    """
    archive = subprocess.run(
        ["git", "archive", commit, *PARTS], cwd=ROOT, check=True, stdout=subprocess.PIPE
    ).stdout
    return [measure(path, source) for path, source in _python_files(archive)]


def _python_files(archive: bytes) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            content = files.extractfile(member) if member.name.endswith(".py") else None
            if content is not None:
                yield member.name, content.read().decode()


def table(modules: Sequence[Module]) -> str:
    """Return the Markdown table of all parts."""
    groups: Mapping[str, list[Module]] = {
        f"`{part}/`": [module for module in modules if module.path.startswith(f"{part}/")]
        for part in PARTS
    } | {"all": list(modules)}
    header = (
        "| | modules | lines | functions: median / 90th percentile / longest | "
        f"functions above {LONG_FUNCTION_LINES} lines | modules above {LONG_MODULE_LINES} lines | "
        "comments per 100 lines |\n|---|---|---|---|---|---|---|"
    )
    return "\n".join([header, *(_row(name, group) for name, group in groups.items())])


def _row(name: str, modules: Sequence[Module]) -> str:
    lengths = sorted(function.lines for module in modules for function in module.functions)
    lines = sum(module.lines for module in modules)
    comments = sum(module.comments for module in modules)
    cells = (
        name,
        len(modules),
        lines,
        f"{median(lengths):.0f} / {lengths[len(lengths) * 9 // 10]} / {lengths[-1]}",
        sum(length > LONG_FUNCTION_LINES for length in lengths),
        sum(module.lines > LONG_MODULE_LINES for module in modules),
        f"{100 * comments / lines:.1f}",
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--commit", help="measure this commit instead of the files here")
    commit: str | None = parser.parse_args().commit
    print(table(modules_of(commit) if commit else modules_here()))


if __name__ == "__main__":
    main()
