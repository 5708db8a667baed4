"""Hosts that the router starts, one per device of this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from server.cluster.__main__ import ListSettings, main
from server.cluster.machine import MachinePlacement, find_devices
from server.cluster.supervisor import HostPlan
from server.errors import SettingsError

ROOT = Path(__file__).parents[3]
READY_S = 60.0
PROGRAM = "scripts.benchmarking.fake_machine"


@contextmanager
def running_machine(devices: str) -> Iterator[str]:
    """Run a router and a host with a fake renderer per device; yield the router's address."""
    options = ["--port", "0", "--first-port", "0", "--devices", devices, "--", "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", PROGRAM, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def ready_hosts(router: str) -> list[dict[str, Any]]:
    hosts: list[dict[str, Any]] = httpx2.get(f"{router}/v1/hosts").json()
    return [host for host in hosts if host["ready"]]


def until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + READY_S
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.1)


@pytest.mark.slow
def test_a_killed_host_affects_only_its_device_and_is_restarted() -> None:
    with running_machine("cuda:0,cuda:1") as router:
        until(lambda: len(ready_hosts(router)) == 2)
        one, other = (host["address"] for host in ready_hosts(router))
        whip = httpx2.post(f"{router}/v1/streams/demo/whep", content=b"v=0")
        assert whip.status_code == 307
        assert whip.headers["location"].startswith((one, other))
        metrics = httpx2.get(f"{other}/metrics").text
        (device,) = re.findall(r'telewarp_device_up{device="(cuda:\d)"} 1.0', metrics)
        assert device in ("cuda:0", "cuda:1")
        allowed = httpx2.get(f"{other}/healthz", headers={"Origin": router})
        assert allowed.headers["access-control-allow-origin"] == router
        pid = host_pid(one)
        os.kill(pid, signal.SIGKILL)
        until(lambda: [host["address"] for host in ready_hosts(router)] == [other])
        until(lambda: len(ready_hosts(router)) == 2)
        assert {host["address"] for host in ready_hosts(router)} == {one, other}
    assert not Path(f"/proc/{host_pid_or_zero(other)}").exists()


def host_pid(address: str) -> int:
    found = host_pid_or_zero(address)
    assert found, f"no host listens at {address}"
    return found


def host_pid_or_zero(address: str) -> int:
    """Return the PID of the host at an address, found by its command line; 0 if there is none."""
    port = address.rpartition(":")[2]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"server.cluster.child_process" in words and port.encode() in words:
            return int(folder.name)
    return 0


def test_each_host_gets_a_device_and_its_share_of_the_cores() -> None:
    plan = HostPlan(options=("--fps", "60"), listen="127.0.0.1")
    placement = MachinePlacement(plan, ("cuda:0", "cuda:1"), "127.0.0.1", cores=9)
    options = [supervisor._plan.options for supervisor in placement.supervisors]
    assert options == [
        ("--device", "cuda:0", "--cores", "4", "--fps", "60"),
        ("--device", "cuda:1", "--cores", "4", "--fps", "60"),
    ]
    assert len({supervisor.address for supervisor in placement.supervisors}) == 2


def test_devices_are_found_by_another_process_and_unknown_ones_are_refused() -> None:
    assert find_devices("cpu") == ("cpu",)
    with pytest.raises(SettingsError, match=r"devices: device must be one of .* got 'cuda:99'"):
        find_devices("cuda:99")


def test_viewers_must_be_able_to_reach_the_hosts() -> None:
    url, origin = "http://face.example.org:{port}", "http://face.example.org:8000"
    for given_url, given_origin in ((None, None), (url, None), (None, origin)):
        on_all_addresses = ListSettings(
            host="0.0.0.0", devices="cuda", host_url=given_url, allowed_origins=given_origin
        )
        with pytest.raises(SettingsError, match="expected --host-url and --allowed-origins"):
            on_all_addresses.plan("http://0.0.0.0:8000", ())
    named = ListSettings(host="0.0.0.0", devices="cuda", host_url=url, allowed_origins=origin)
    plan = named.plan("http://0.0.0.0:8000", ())
    assert (plan.public_url, plan.options) == (url, ("--allowed-origins", origin))
    local = ListSettings(devices="cuda").plan("http://127.0.0.1:8000", ("--fps", "30"))
    assert local.public_url == "http://127.0.0.1:{port}"
    origins = "http://127.0.0.1:8000,http://localhost:8000"
    assert local.options == ("--allowed-origins", origins, "--fps", "30")


@pytest.mark.parametrize(
    "hosts", ["1", "10.0.0.7:8000", "ftp://a", "http://", "http://a,b", "http://a:x", "http://a?b"]
)
def test_a_host_that_is_no_address_is_refused(
    hosts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", "--hosts", hosts]) == 1
    assert "expected addresses such as http://10.0.0.7:8000" in capsys.readouterr().err


def test_hosts_are_either_listed_or_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0"]) == 1
    assert main(["--port", "0", "--devices", "cpu", "--hosts", "http://10.0.0.7:8000"]) == 1
    expected = "expected either --hosts with at least one address or --devices"
    assert capsys.readouterr().err.count(expected) == 2
