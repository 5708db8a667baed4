"""A server on one machine never loads Ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.test_layers import ROOT, below, imports, relative, sources

MAY_IMPORT_RAY = {"server/cluster/ray_cluster.py"}
PROGRAM = """
import sys
import server.command, server.app, server.cluster.__main__, server.cluster.supervisor
server.app.create_app(server.settings.Settings())
print(sorted(name for name in sys.modules if name.split(".")[0] == "ray"))
"""


def test_only_one_module_imports_ray() -> None:
    found = {
        relative(path)
        for folder in ("models", "server", "scripts")
        for path in sources(folder)
        for name in imports(path.read_text())
        if below(name, ("ray",))
    }
    assert found == MAY_IMPORT_RAY


def test_only_cluster_programs_import_that_module() -> None:
    found = {
        relative(path)
        for folder in ("models", "server", "scripts")
        for path in sources(folder)
        for name in imports(path.read_text())
        if below(name, ("server.cluster.ray_cluster",))
    }
    assert found == {"scripts/cluster.py"}


def test_a_server_and_a_router_of_listed_hosts_do_not_load_ray() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
    assert Path(ROOT, *MAY_IMPORT_RAY).exists()
