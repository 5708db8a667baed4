"""The files in docker/ name only existing settings, files and metrics."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.app import create_app, pool_settings
from server.auth.grants import ANYONE
from server.cluster.__main__ import ListSettings
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.sessions.session import Session
from server.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
FILES = ("Dockerfile", "compose.yaml", "README.md")


@pytest.mark.parametrize("name", FILES)
def test_every_named_setting_exists(name: str) -> None:
    named = set(re.findall(r"\bTELEWARP_([A-Z_]+)", (DOCKER / name).read_text()))
    known = {field.upper() for field in (*Settings.model_fields, *ListSettings.model_fields)}
    assert named
    assert named <= known


def test_files_that_the_image_copies_exist_and_are_not_ignored() -> None:
    root = DOCKER.parent
    included = (root / ".dockerignore").read_text().splitlines()
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.M)
    sources = [source for copy in copies for source in copy.split()]
    assert len(sources) >= 6
    for source in sources:
        assert (root / source).exists(), source
        assert f"!{source}" in included, source


def test_the_cuda_image_requests_the_video_encoder_and_uses_cuda() -> None:
    stages = re.split(r"^FROM ", (DOCKER / "Dockerfile").read_text(), flags=re.M)
    (cuda,) = (stage for stage in stages if stage.startswith("server AS cuda"))
    settings = dict(re.findall(r"([A-Z_]+)=(\S+)", cuda))
    assert set(settings["NVIDIA_DRIVER_CAPABILITIES"].split(",")) >= {"compute", "utility", "video"}
    assert settings["TELEWARP_DEVICE"] == "cuda"
    assert settings["TRITON_CACHE_DIR"].startswith("/tmp/"), "/tmp is the only writable folder"
    assert "gcc" in cuda
    assert cuda.rindex("USER 10001") > cuda.rindex("USER root")


class UnconnectedPeer:
    """A peer without a connection; the test requests its frames."""

    def __init__(self, session: Session) -> None: ...

    async def answer(self, offer_sdp: str) -> str:
        return "answer"

    async def close(self) -> None:
        """Do nothing: no connection was opened."""


async def _metrics_while_watched(recordings: Path) -> str:
    factory = FakeEngineFactory(device_names=("cuda:0",))
    settings = Settings(max_sessions=2, recordings=recordings, live_link_port=0)
    app = create_app(settings, lambda s: RenderPool(pool_settings(s), factory))
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        session, _ = await app.state.sessions.open("demo", UnconnectedPeer, "offer", ANYONE)
        await session.next_frame()
        return (await client.get("/metrics")).text


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of all samples that a server with a (fake) GPU and one viewer exports."""
    text = asyncio.run(_metrics_while_watched(tmp_path_factory.mktemp("recordings")))
    families = text_string_to_metric_families(text)
    return {sample.name for family in families for sample in family.samples}


def test_the_metrics_named_in_the_readme_exist(exported: set[str]) -> None:
    named = set(re.findall(r"`((?:telewarp|process)_\w+)`", (DOCKER / "README.md").read_text()))
    histograms = {name.removesuffix("_bucket") for name in exported if name.endswith("_bucket")}
    assert len(named) > 5
    assert named <= exported | histograms


def test_every_metric_of_the_dashboard_is_exported(exported: set[str]) -> None:
    dashboard = json.loads((DOCKER / "grafana" / "dashboard.json").read_text())
    expressions = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
    ]
    assert len(expressions) > 25
    for expression in expressions:
        assert metrics_of(expression), expression
        assert metrics_of(expression) <= exported, expression
    for variable in dashboard["templating"]["list"]:
        named = re.findall(r"label_values\((\w+),", variable["definition"])
        assert set(named) <= exported


def metrics_of(expression: str) -> set[str]:
    """Return the metrics that a PromQL expression reads."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(by|without) *\([^)]*\)', " ", expression)
    words = re.findall(r"\b[a-zA-Z_:][\w:]*\b(?! *\()", bare)
    return set(words) - {"and", "or", "unless", "on", "ignoring", "offset", "bool", "by"}


def test_metric_names_are_found_in_expressions() -> None:
    assert metrics_of('8 * sum by (le, kind) (rate(a_total{job="b",c=~"d"}[5m])) / min(e) > 1') == {
        "a_total",
        "e",
    }


def test_the_files_mounted_into_grafana_exist_and_are_consistent() -> None:
    compose = (DOCKER / "compose.yaml").read_text()
    mounted = re.findall(r"- (\./grafana\S*?):(\S+):ro", compose)
    assert len(mounted) == 2
    assert all((DOCKER / source).exists() for source, _ in mounted)
    assert f"DASHBOARD_PATH: {dict(mounted)['./grafana/dashboard.json']}" in compose
    provisioning = DOCKER / "grafana" / "provisioning"
    provider = (provisioning / "dashboards" / "telewarp.yaml").read_text()
    assert dict(mounted)["./grafana/dashboard.json"].startswith(
        re.findall(r"path: ([^}]+)\}", provider)[0]
    )
    source = (provisioning / "datasources" / "prometheus.yaml").read_text()
    uid, url = re.findall(r"uid: (\S+)", source)[0], re.findall(r"url: http://(\S+)", source)[0]
    assert f"--web.listen-address={url}" in compose
    dashboard = json.loads((DOCKER / "grafana" / "dashboard.json").read_text())
    sources = {panel["datasource"]["uid"] for panel in dashboard["panels"] if "targets" in panel}
    assert sources == {uid}
