"""Documents match the repository: links resolve, named commands exist, the README is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATED_FOLDERS = {"build", "data", "node_modules", "out", "runs"}
"""Top-level folders that the scripts of the project fill."""
DOCUMENTS = sorted(
    file
    for top in ROOT.iterdir()
    if not top.name.startswith(".") and top.name not in GENERATED_FOLDERS
    for file in ([top] if top.suffix == ".md" else top.rglob("*.md"))
    if "node_modules" not in file.parts  # packages that tests/client_web installs
)
README_LINES = 120
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FILE = re.compile(
    r"(?<![\w./-])((?:client_web|docker|models|scripts|server|tests)/[\w./-]+"
    r"\.(?:sh|py|mjs|js|html|yaml|yml))\b"
)
_TABLE = re.compile(r"^(?:\|.*\n?){2,}", re.MULTILINE)
_MODULE = re.compile(r"python -m (server(?:\.\w+)*)")
_TESTS = re.compile(r"(?<![\w./-])(tests(?:/[\w.]+)+)")


def relative(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def links(text: str) -> list[str]:
    """Return the targets of all links outside of code."""
    prose = re.sub(r"```.*?```|^ {4}.*?$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return _LINK.findall(prose)


def anchors(document: Path) -> set[str]:
    """Return the fragments of a document's headings, in GitHub's form."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def rows_of_another_width(text: str) -> list[str]:
    """Return the rows of tables that have more or fewer cells than the header above them.

    Raises:
        AssertionError: If the line below a header cannot make a table of it: GitHub then shows
            plain text.
    """
    found = []
    for table in _TABLE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        header, delimiter, *rows = table.splitlines()
        assert re.fullmatch(r"\|(?: *:?-+:? *\|)+", delimiter), f"expected |---|, got {delimiter}"
        found += [row for row in (delimiter, *rows) if _cells(row) != _cells(header)]
    return found


def _cells(row: str) -> int:
    """Return the number of cells; an escaped bar does not end one, a bar in code does."""
    return len(re.findall(r"(?<!\\)\|", row)) - 1


def broken(document: Path) -> list[str]:
    """Return the links without an existing target."""
    found = []
    for target in links(document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (fragment and fragment not in anchors(file)):
            found.append(target)
    return found


def test_links_are_distinguished_from_code_and_broken_ones_are_found(tmp_path: Path) -> None:
    assert links("[a](b) `[c](d)` ![e](f.jpg)\n\n    [g](h)\n") == ["b", "f.jpg"]
    document = tmp_path / "a.md"
    document.write_text("# One: two\n[a](a.md#one-two) [b](#one) [c](c.md) [d](https://d.example)")
    assert broken(document) == ["#one", "c.md"]


def test_all_documents_are_found() -> None:
    names = {relative(document) for document in DOCUMENTS}
    assert {"README.md", "CONTRIBUTING.md", "server/README.md", "docker/CLUSTER.md"} <= names


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_link_resolves(document: Path) -> None:
    assert broken(document) == []


def test_rows_of_another_width_are_found() -> None:
    table = "| a | b |\n|---|:--|\n| `c\\|d` | e |\n| f |\n| g | `h|i` |\n"
    assert rows_of_another_width(table) == ["| f |", "| g | `h|i` |"]
    assert rows_of_another_width(f"```\n{table}```\n") == []
    with pytest.raises(AssertionError, match="expected"):
        rows_of_another_width("| a | b |\n| c | d |\n")


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_row_of_a_table_has_as_many_cells_as_its_header(document: Path) -> None:
    assert rows_of_another_width(document.read_text()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_named_file_and_test_exists(document: Path) -> None:
    text = document.read_text()
    named = {*_FILE.findall(text), *_TESTS.findall(text)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_named_module_of_the_server_is_a_program(document: Path) -> None:
    folders = {name.replace(".", "/") for name in _MODULE.findall(document.read_text())}
    assert [name for name in folders if not (ROOT / name / "__main__.py").exists()] == []


def test_the_readme_is_short_and_links_lead_to_every_document() -> None:
    readme = ROOT / "README.md"
    assert len(readme.read_text().splitlines()) <= README_LINES
    reached, new = {readme}, [readme]
    while new:
        document = new.pop()
        targets = (link.partition("#")[0] for link in links(document.read_text()))
        for file in {(document.parent / target).resolve() for target in targets if target}:
            if file.suffix == ".md" and file.exists() and file not in reached:
                reached.add(file)
                new.append(file)
    assert set(DOCUMENTS) - reached == set()
