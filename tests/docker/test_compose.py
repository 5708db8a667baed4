"""docker/compose.yaml is valid, hardened, and consistent with the options of the server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.cluster.__main__ import ListSettings

FILE = Path(__file__).parents[2] / "docker" / "compose.yaml"
CHECK = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    services: dict[str, dict[str, Any]] = read["services"]
    return services


def test_the_compose_file_conforms_to_the_compose_specification(tmp_path: Path) -> None:
    subprocess.run([*CHECK, str(FILE)], check=True, capture_output=True)
    broken = tmp_path / "compose.yaml"
    broken.write_text(FILE.read_text().replace("restart: unless-stopped", "restart: [sometimes]"))
    assert subprocess.run([*CHECK, str(broken)], capture_output=True, check=False).returncode == 1


def test_servers_are_read_only_and_have_no_capabilities(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, writable in (("server", "/tmp"), ("gpu", "/tmp:exec"), ("gpus", "/tmp:exec")):
        server = services[name]
        assert server["read_only"] is True, name
        assert server["cap_drop"] == ["ALL"], name
        assert server["tmpfs"] == [writable], name
        assert "no-new-privileges:true" in server["security_opt"], name


def test_the_gpu_server_gets_all_gpus(services: dict[str, dict[str, Any]]) -> None:
    (device,) = services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_the_gpu_server_has_the_driver_capabilities_to_compute_and_encode(
    services: dict[str, dict[str, Any]],
) -> None:
    environment = services["gpu"]["environment"]
    assert set(environment["NVIDIA_DRIVER_CAPABILITIES"].split(",")) >= {"compute", "video"}
    assert environment["TELEWARP_DEVICE"] == "cuda"
    assert environment.items() >= services["server"]["environment"].items()


def test_several_gpus_run_one_host_each_with_existing_options(
    services: dict[str, dict[str, Any]],
) -> None:
    command = ["python", "-m", "server.cluster", "--devices", "cuda"]
    assert services["gpus"]["entrypoint"] == command
    environment = services["gpus"]["environment"]
    assert environment.items() >= services["gpu"]["environment"].items()
    assert environment["TELEWARP_HOST_URL"].endswith(":{port}")
    own = {name.removeprefix("TELEWARP_").lower() for name in environment}
    assert {"host_url", "allowed_origins"} <= own & ListSettings.model_fields.keys()


def test_server_and_relay_share_a_secret_and_no_port(services: dict[str, dict[str, Any]]) -> None:
    relay = " ".join(services["coturn"]["command"])
    assert "--static-auth-secret=${TELEWARP_TURN_SECRET:-}" in relay
    environment = services["server"]["environment"]
    assert environment["TELEWARP_TURN_SECRET"] == "${TELEWARP_TURN_SECRET:-}"
    first, last = (int(port) for port in environment["TELEWARP_UDP_PORTS"].split("-"))
    assert first < last < 41000
    assert "--min-port=41000" in relay


def test_other_images_are_pinned_and_hardened(services: dict[str, dict[str, Any]]) -> None:
    for name in ("coturn", "prometheus", "grafana"):
        service = services[name]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_grafana_has_no_initial_admin_password(services: dict[str, dict[str, Any]]) -> None:
    environment = services["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    assert environment["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_the_relay_has_quotas_and_no_tcp(services: dict[str, dict[str, Any]]) -> None:
    options = set(services["coturn"]["command"])
    assert {"--no-tcp-relay", "--no-multicast-peers", "--no-cli"} <= options
    assert {"--user-quota=8", "--total-quota=100", "--max-bps=1500000"} <= options
