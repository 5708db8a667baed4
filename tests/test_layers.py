"""Imports between folders go in one direction. `ORDER` lists the folders, lowest layer first.

Imports are read from the source, so that those inside functions count too. The browser client has
its own order in `tests/client_web/layers.test.js`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ORDER = (
    "models.contract",
    "models.geometry",
    "models.kernels",
    "models.kernels.cuda",
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
    "server.renamed_settings",
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
    "server.transport.webrtc.congestion",
    "server.transport.webrtc.aiortc_internals",
    "server.transport.webrtc",
    "server.http",
    "server.cluster",
    "server.app",
    "server.command",
    "server.__main__",
    "scripts.install_tracker",
    "scripts.benchmarking",
    "scripts.fuzzing",
    "scripts.gpu_checks",
    "scripts.examples",
    "scripts",
    "tests",
)
"""Folders, and modules beside them. Each may import only those before it.

A folder stands for its own modules; folders inside it are layers of their own. Only those of
`tests` are not, because a test may use the helpers of every other one."""

TOPS = ("models", "server", "scripts", "tests")

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
    """Return the innermost entry of `ORDER` that has a module; None if it is of another package."""
    return max((entry for entry in ORDER if below(dotted, (entry,))), key=len, default=None)


def layer_of(path: Path) -> str | None:
    return layer(relative(path).removesuffix(".py").replace("/", "."))


def folder_graph() -> dict[tuple[str, str], list[str]]:
    """Return a map from (importing layer, imported layer) to the imports."""
    graph: dict[tuple[str, str], list[str]] = defaultdict(list)
    for top in TOPS:
        for path in sources(top):
            importing = layer_of(path)
            for name in imports_of(path):
                imported = layer(name)
                if importing and imported and importing != imported:
                    graph[importing, imported].append(f"{relative(path)}: {name}")
    return graph


def summary() -> tuple[set[str], set[tuple[str, str]]]:
    """Read the summary of `ORDER` in CONTRIBUTING.md.

    Returns:
        The layers that it names, and its arrows as pairs (lower layer, higher layer).
    """
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(r"## Layers\n.*?\n\n((?: {4}.*\n)+)", text, re.DOTALL)
    assert block is not None
    named: set[str] = set()
    arrows: set[tuple[str, str]] = set()
    for top, lines in re.findall(r"^ {4}(\w+)/ +(.*(?:\n {6}.*)*)", block[1], re.MULTILINE):
        # A line that begins with an arrow continues the chain of the line before.
        for chain in re.sub(r"\n +->", " ->", lines).replace("\n", ";").split(";"):
            steps = [[_entry(top, name) for name in step.split(",")] for step in chain.split("->")]
            named.update(*steps)
            arrows |= {pair for step in pairwise(steps) for pair in product(*step)}
    return named, arrows


def _entry(top: str, name: str) -> str:
    """Return the entry of `ORDER` for a name of the summary; `*` are a folder's own modules."""
    return f"{top}.{name.strip().replace('/', '.')}".removesuffix(".*")


def module_name(path: Path) -> str:
    """Return the dotted name of a module; that of its folder for `__init__.py`."""
    return relative(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def module_graph() -> dict[str, set[str]]:
    """Return the modules that each module imports, for type checking too."""
    paths = {module_name(path): path for top in TOPS for path in sources(top)}

    def module_of(dotted: str) -> str | None:
        while dotted and dotted not in paths:
            dotted = dotted.rpartition(".")[0]
        return dotted or None

    return {
        name: {found for found in map(module_of, imports_of(path)) if found is not None} - {name}
        for name, path in paths.items()
    }


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return the nodes of one cycle, the first one again at the end; [] if there is none."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            if cycle := visit(following, [*path, node]):
                return cycle
        done.add(node)
        return []

    return next((cycle for node in graph if (cycle := visit(node, []))), [])


def test_imports_are_found_at_any_level() -> None:
    source = "import a.b\ndef f():\n    from c import d, e\nif True:\n    import g as h\n"
    assert sorted(imports(source)) == ["a.b", "c.d", "c.e", "g"]
    assert below("a.b", ("a",))
    assert not below("ab", ("a",))
    assert layer("server.pool.engine.ModelEngine") == "server.pool"
    assert layer("server.poolish") is None
    assert layer("server.transport.webrtc.congestion.pacer") == "server.transport.webrtc.congestion"
    assert layer("server.transport.webrtc.peer.AiortcPeer") == "server.transport.webrtc"


def test_every_module_belongs_to_a_layer() -> None:
    packages = {"models/__init__.py", "server/__init__.py"}
    unassigned = [
        relative(path)
        for top in ("models", "server")
        for path in sources(top)
        if layer_of(path) is None and relative(path) not in packages
    ]
    assert unassigned == []


def test_every_folder_is_a_layer_of_its_own() -> None:
    """So that no two folders can import each other inside one layer."""
    folders = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for top in ("models", "server", "scripts")
        for path in sources(top)
    }
    assert folders - set(ORDER) == {"models", "server"}  # whose modules are listed one by one


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


def test_no_two_modules_import_each_other_directly_or_through_others() -> None:
    graph = module_graph()
    imported = graph["server.transport.webrtc.peer"]
    assert {"server.sessions.session", "server.transport.webrtc.track"} <= imported
    assert cycle_in(graph) == []


def test_cycles_of_modules_are_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c", "d"}, "c": {"d"}, "d": set()}) == []
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}) == ["b", "c", "d", "b"]


def test_the_summary_for_contributors_names_every_layer_in_order() -> None:
    named, arrows = summary()
    assert named == set(ORDER) - {"tests"}
    assert ("server.transport", "server.transport.webrtc.congestion") not in arrows  # beside it
    assert ("server.transport.webrtc.aiortc_internals", "server.transport.webrtc") in arrows
    assert [arrow for arrow in arrows if ORDER.index(arrow[0]) >= ORDER.index(arrow[1])] == []


def test_the_summary_for_contributors_permits_every_import() -> None:
    _, arrows = summary()
    permitted: dict[str, set[str]] = {}
    for entry in ORDER:
        lower = {low for low, high in arrows if high == entry}
        permitted[entry] = lower.union(*(permitted[low] for low in lower))
    missing = [
        f"{imported} -> {importing}"
        for importing, imported in folder_graph()
        if importing.split(".")[0] == imported.split(".")[0]
        and imported not in permitted[importing]
    ]
    assert missing == []


def test_the_folders_of_the_server_are_described_in_this_order() -> None:
    _, _, section = (ROOT / "server" / "README.md").read_text().partition("\n## Folders\n")
    described = re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)
    folders = [entry.split(".")[1] for entry in ORDER if re.fullmatch(r"server\.\w+", entry)]
    assert described == [name for name in folders if (ROOT / "server" / name).is_dir()]


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
