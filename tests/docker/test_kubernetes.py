"""The Kubernetes files are valid, and consistent with each other and the server."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.admission.admission import Admission
from server.background import BackgroundTasks
from server.calls.calls import Calls
from server.cluster.__main__ import ListSettings
from server.http.metrics import MeasuredParts, render
from server.network.connections import Connections
from server.publications.publications import Publications
from server.sessions.registry import Sessions
from server.settings import Settings
from server.streams.streams import Streams
from tests.server.pool.test_pool import running

FOLDER = Path(__file__).parents[2] / "docker" / "kubernetes"
VERSION = kubernetes_validate.latest_version()
EXTERNAL_SECRETS = {"telewarp-tokens", "telewarp-turn"}
"""Secrets that the operator creates."""


def read(file: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(file.read_text())


BASE = [
    document
    for file in sorted((FOLDER / "base").glob("*.yaml"))
    if file.name != "kustomization.yaml"
    for document in read(file)
]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (d for d in BASE if d["kind"] == kind and d["metadata"]["name"] == name)
    return found


def containers() -> dict[str, dict[str, Any]]:
    return {
        deployment["metadata"]["name"]: deployment["spec"]["template"]["spec"]["containers"][0]
        for deployment in BASE
        if deployment["kind"] == "Deployment"
    }


@pytest.mark.parametrize("document", BASE, ids=lambda d: f"{d['kind']} {d['metadata']['name']}")
def test_every_object_conforms_to_the_kubernetes_schema(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_validator_finds_mistakes() -> None:
    broken = named("Deployment", "hosts") | {"spec": {"replicas": "two"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSION, strict=True)


def test_every_file_is_in_the_kustomization() -> None:
    (base,) = read(FOLDER / "base" / "kustomization.yaml")
    files = {file.name for file in (FOLDER / "base").glob("*.yaml")}
    assert set(base["resources"]) | {"kustomization.yaml"} == files


def test_every_selector_matches_an_object() -> None:
    labels = [
        d["spec"]["template"]["metadata"]["labels"] for d in BASE if d["kind"] == "Deployment"
    ]
    for document in BASE:
        spec = document.get("spec", {})
        selector = spec.get("selector", {})
        wanted = selector.get("matchLabels", selector)
        assert not wanted or wanted in labels, document["metadata"]["name"]
        if "scaleTargetRef" in spec:
            target = spec["scaleTargetRef"]
            assert named(target["kind"], target["name"])


def test_every_setting_exists_and_addresses_are_consistent() -> None:
    known = {
        name: {f"TELEWARP_{field.upper()}" for field in settings.model_fields}
        for name, settings in (("router", ListSettings), ("hosts", Settings))
    }
    given: dict[str, str] = dict(named("ConfigMap", "telewarp")["data"])
    # Router and hosts share the ConfigMap; each ignores options that only the other has.
    assert {name for name in given if name.startswith("TELEWARP_")} <= set.union(*known.values())
    for part, container in containers().items():
        own = {e["name"]: e.get("value", "") for e in container["env"]}
        assert {name for name in own if name.startswith("TELEWARP_")} <= known[part]
        given |= own
    service = named("Service", "hosts")
    port = service["spec"]["ports"][0]["port"]
    assert given["TELEWARP_HOSTS"] == f"http://{service['metadata']['name']}:{port}"
    assert given["TELEWARP_PORT"] == str(port)
    assert service["spec"]["clusterIP"] == "None", "the router needs the address of each host"
    (public,) = re.findall(r":(\d+)$", given["TELEWARP_PUBLIC_URL"])
    assert containers()["hosts"]["ports"] == [
        {"name": "http", "containerPort": port, "hostPort": int(public)}
    ]


def test_secrets_are_mounted_where_the_settings_look_for_them() -> None:
    file = Path(named("ConfigMap", "telewarp")["data"]["TELEWARP_TOKENS"])
    for name, container in containers().items():
        assert {"name": "tokens", "mountPath": str(file.parent), "readOnly": True} in container[
            "volumeMounts"
        ]
        volumes = named("Deployment", name)["spec"]["template"]["spec"]["volumes"]
        assert {"name": "tokens", "secret": {"secretName": "telewarp-tokens"}} in volumes


def test_containers_run_without_root_on_read_only_images() -> None:
    for name, container in containers().items():
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        pod = named("Deployment", name)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"], name


def test_a_host_has_time_to_drain() -> None:
    pod = named("Deployment", "hosts")["spec"]["template"]["spec"]
    before_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before_s + 60


async def test_the_autoscaler_uses_an_exported_metric() -> None:
    (metric,) = named("HorizontalPodAutoscaler", "hosts")["spec"]["metrics"]
    async with running() as pool:
        streams = Streams(pool.avatars)
        admission = Admission()
        parts = MeasuredParts(
            pool=pool,
            streams=streams,
            sessions=Sessions(streams, pool, 60, admission),
            admission=admission,
            background=BackgroundTasks(),
            connections=Connections(4, 4),
            publications=Publications(),
            calls=Calls(streams, 1, 1),
            registries=(),
        )
        metrics = render(parts).decode()
    assert f"\n{metric['pods']['metric']['name']} 0.0\n" in metrics


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl to build them with")
@pytest.mark.parametrize(("folder", "gpus"), [("base", None), ("gpu", "1")])
def test_the_output_of_kustomize_is_valid(folder: str, gpus: str | None) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / folder)], capture_output=True, text=True, check=True
    )
    documents = list(yaml.safe_load_all(built.stdout))
    assert len(documents) == len(BASE)
    for document in documents:
        kubernetes_validate.validate(document, VERSION, strict=True)
    (hosts,) = (
        d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == "hosts"
    )
    container = hosts["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == gpus
    assert container["image"].endswith("-cuda") == (gpus is not None)
    assert any(entry["name"] == "TELEWARP_PUBLIC_URL" for entry in container["env"])
