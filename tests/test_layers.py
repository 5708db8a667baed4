"""Imports between folders go in one direction. `ORDER` lists the folders, lowest layer first.

Imports are read from the source, so that those inside functions count too. The browser client has
its own order in `tests/client_web/layers.test.js`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ORDER = (
    "models.contract",
    "models.geometry",
    "models.kernels",
    "models.networks",
    "models.avatar",
    "models.runtime",
    "models.metrics",
    "models.studio",
    "models.heads",
    "models.data",
    "models.capture",
    "models.training",
    "models.evaluation",
    "models.authors",
    "server.version",
    "server.errors",
    "server.line_writer",
    "server.logs",
    "server.background",
    "server.awake_clock",
    "server.protocol",
    "server.network",
    "server.encoding",
    "server.access_settings",
    "server.settings",
    "server.auth",
    "server.pool",
    "server.streams",
    "server.drivers",
    "server.recordings",
    "server.avatar_store",
    "server.admission",
    "server.sessions",
    "server.publications",
    "server.calls",
    "server.transport",
    "server.http",
    "server.cluster",
    "server.app",
    "server.command",
    "server.__main__",
    "scripts",
    "tests",
)
"""Folders, and modules beside them. Each may import only those before it."""

SERVER_MAY_IMPORT_MODELS = ("server/pool/engine.py",)
"""The one module of the server that may import more of the models than `models.contract`."""

FRAMEWORKS = ("fastapi", "starlette", "uvicorn", "pydantic", "pydantic_settings")
WEBRTC = ("aiortc", "aioice")
CODECS = ("av",)

FORBIDDEN: dict[str, tuple[str, ...]] = {
    "models": ("client_web", *FRAMEWORKS, *WEBRTC, *CODECS),
    "models/contract": ("torch", "numba"),
    "server": ("anny", "ray"),
    "server/pool": (*FRAMEWORKS, *WEBRTC, *CODECS),
    "server/sessions": (*WEBRTC, *CODECS),
    "server/http": (*WEBRTC, *CODECS, "server.transport.webrtc"),
}
"""Packages that the modules below a folder must not import."""
ALLOWED_PATHS: dict[tuple[str, ...], tuple[str, ...]] = {
    WEBRTC: ("server/transport/webrtc/",),
    CODECS: ("server/encoding/", "server/transport/webrtc/", "models/capture/video.py"),
    ("ray",): ("server/cluster/ray_cluster.py",),
}
"""Packages that only these paths may import."""
TRITON_ONLY_IN = {
    "triton": ("models/kernels/cuda/",),
    "models.kernels.cuda": (
        "models/kernels/cuda/",
        "models/runtime/telewarp_cuda.py",
        "models/runtime/kernel_check.py",
        "scripts/",
    ),
}
"""Triton is installed only where there may be a GPU, so only these paths may import it."""


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(source: str) -> Iterator[str]:
    """Yield the dotted names of all imported modules and members."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports must be absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Return the imports of a file, cached for all rules."""
    return tuple(imports(path.read_text()))


def below(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer(dotted: str) -> str | None:
    """Return the entry of `ORDER` that a module belongs to; None if it is of another package."""
    return next((entry for entry in ORDER if below(dotted, (entry,))), None)


def layer_of(path: Path) -> str | None:
    return layer(relative(path).removesuffix(".py").replace("/", "."))


def folder_graph() -> dict[tuple[str, str], list[str]]:
    """Return a map from (importing layer, imported layer) to the imports."""
    graph: dict[tuple[str, str], list[str]] = defaultdict(list)
    for top in ("models", "server", "scripts", "tests"):
        for path in sources(top):
            importing = layer_of(path)
            for name in imports_of(path):
                imported = layer(name)
                if importing and imported and importing != imported:
                    graph[importing, imported].append(f"{relative(path)}: {name}")
    return graph


def test_imports_are_found_at_any_level() -> None:
    source = "import a.b\ndef f():\n    from c import d, e\nif True:\n    import g as h\n"
    assert sorted(imports(source)) == ["a.b", "c.d", "c.e", "g"]
    assert below("a.b", ("a",))
    assert not below("ab", ("a",))
    assert layer("server.pool.engine.ModelEngine") == "server.pool"
    assert layer("server.poolish") is None


def test_every_module_belongs_to_a_layer() -> None:
    packages = {"models/__init__.py", "server/__init__.py"}
    unassigned = [
        relative(path)
        for top in ("models", "server")
        for path in sources(top)
        if layer_of(path) is None and relative(path) not in packages
    ]
    assert unassigned == []


@pytest.mark.parametrize("entry", ORDER)
def test_every_layer_of_the_order_exists(entry: str) -> None:
    path = ROOT / entry.replace(".", "/")
    assert path.is_dir() or path.with_suffix(".py").is_file(), f"{entry} does not exist"


def test_folders_import_only_lower_layers() -> None:
    """As the order is total, the graph of folders has no cycle."""
    graph = folder_graph()
    for importing in ORDER:
        imported = [entry for entry in ORDER if (importing, entry) in graph]
        print(f"{importing} <- {', '.join(imported) or 'nothing of ours'}")  # noqa: T201
    upward = [
        line
        for (importing, imported), lines in graph.items()
        if ORDER.index(imported) > ORDER.index(importing)
        for line in lines
    ]
    assert upward == []


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_forbidden_package_is_imported(folder: str) -> None:
    paths = sources(folder)
    assert paths, f"{folder}/ does not exist: the rule is out of date"
    exempt = tuple(path for allowed in ALLOWED_PATHS.values() for path in allowed)
    found = [
        f"{relative(path)}: {name}"
        for path in paths
        for name in imports_of(path)
        if below(name, FORBIDDEN[folder]) and not relative(path).startswith(exempt)
    ]
    assert found == []


@pytest.mark.parametrize("packages", ALLOWED_PATHS)
def test_packages_are_imported_only_by_their_paths(packages: tuple[str, ...]) -> None:
    found = {
        relative(path)
        for path in sources("server")
        for name in imports_of(path)
        if below(name, packages)
    }
    assert found, "no module imports them: the rule is out of date"
    assert {path for path in found if not path.startswith(ALLOWED_PATHS[packages])} == set()


def test_the_server_imports_only_the_contract_of_the_models() -> None:
    found = {
        relative(path)
        for path in sources("server")
        for name in imports_of(path)
        if below(name, ("models",)) and not below(name, ("models.contract",))
    }
    assert found == set(SERVER_MAY_IMPORT_MODELS)


@pytest.mark.parametrize(("package", "allowed"), TRITON_ONLY_IN.items())
def test_triton_is_imported_only_by_its_paths(package: str, allowed: tuple[str, ...]) -> None:
    found = {
        relative(path)
        for top in ("models", "server", "scripts")
        for path in sources(top)
        for name in imports_of(path)
        if below(name, (package,))
    }
    assert found, f"no module imports {package}: the rule is out of date"
    assert {path for path in found if not path.startswith(allowed)} == set()
