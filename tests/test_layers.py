"""Imports go one way: models <- server/pool <- the rest of server; nobody imports scripts or tests.

Read from the source and not from loaded modules, so that imports inside functions count too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = ("fastapi", "starlette", "uvicorn", "pydantic", "pydantic_settings")
WEBRTC = ("aiortc", "aioice", "av")

FORBIDDEN: dict[str, tuple[str, ...]] = {
    "models": ("server", "client_web", *FRAMEWORKS, *WEBRTC),
    "server": ("scripts", "tests", "anny"),
    "server/pool": (*FRAMEWORKS, *WEBRTC),
    "server/http": ("aiortc", "aioice", "av", "models", "server.transport.webrtc"),
    "scripts": ("tests",),
}
"""What files below a folder must not import."""
OF_THE_POOL = ("server.errors", "server.logs", "server.pool")
"""All that `server/pool` may import of `server`."""
MAY_IMPORT_MODELS = ("server/pool/engine.py",)
"""All of `server` that may import `models`."""
MAY_IMPORT_WEBRTC = ("server/transport/webrtc",)
"""All of `server` that may import aiortc."""


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(source: str) -> Iterator[str]:
    """Every module named by an import, and every name taken from one, dotted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def below(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import a.b\ndef f():\n    from c import d, e\nif True:\n    import g as h\n"
    assert sorted(imports(source)) == ["a.b", "c.d", "c.e", "g"]
    assert below("a.b", ("a",))
    assert not below("ab", ("a",))


@pytest.mark.parametrize("folder", ["models", "server", "scripts", "tests"])
def test_every_folder_holds_python(folder: str) -> None:
    assert sources(folder), f"{folder}/ is gone: this test no longer watches it"


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_nothing_forbidden_is_imported(folder: str) -> None:
    found = [
        f"{relative(path)}: {name}"
        for path in sources(folder)
        for name in imports(path.read_text())
        if below(name, FORBIDDEN[folder])
    ]
    assert found == []


def test_models_import_nothing_of_scripts_or_tests() -> None:
    found = [
        f"{relative(path)}: {name}"
        for path in sources("models")
        for name in imports(path.read_text())
        if below(name, ("scripts", "tests"))
    ]
    assert found == []


def test_the_pool_imports_nothing_of_the_server_but_errors() -> None:
    found = [
        f"{relative(path)}: {name}"
        for path in sources("server/pool")
        for name in imports(path.read_text())
        if below(name, ("server",)) and not below(name, OF_THE_POOL)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [(("models",), MAY_IMPORT_MODELS), (("aiortc", "aioice"), MAY_IMPORT_WEBRTC)],
)
def test_only_one_place_of_the_server_imports(
    modules: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    found = {
        relative(path)
        for path in sources("server")
        for name in imports(path.read_text())
        if below(name, modules)
    }
    assert found, "nothing imports them at all: the rule is out of date"
    assert {path for path in found if not path.startswith(allowed)} == set()
