"""coturn with the options of the compose file relays to public addresses only."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aioice import stun, turn

FILE = Path(__file__).parents[2] / "docker" / "compose.yaml"
SERVER = "10.9.9.9"
PRIVATE = (
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "224.0.0.1",
    "0.0.0.1",
)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    if shutil.which("turnserver") is None:
        pytest.skip("no coturn: apt-get install coturn")
    command: list[str] = yaml.safe_load(FILE.read_text())["services"]["coturn"]["command"]
    peers = [option for option in command if "peer" in option and "SERVER_ADDRESS" not in option]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = tmp_path_factory.mktemp("coturn")
    local = ["--listening-ip=127.0.0.1", f"--listening-port={port}", "--relay-ip=127.0.0.1"]
    user = ["--lt-cred-mech", "--user=viewer:secret", "--realm=telewarp"]
    files = [f"--log-file={folder}/log", f"--pidfile={folder}/pid", f"--userdb={folder}/db"]
    options = [*local, *user, *files, *peers, f"--allowed-peer-ip={SERVER}", "--no-cli", "-n"]
    with subprocess.Popen(
        ["turnserver", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for_tcp(port)
        yield "127.0.0.1", port
        process.terminate()


def wait_for_tcp(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "coturn does not listen"
            time.sleep(0.05)
        else:
            return


async def rejected_peers(relay: tuple[str, int], peers: tuple[str, ...]) -> set[str]:
    """Return the peers for which the relay rejects a channel."""
    transport, _ = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol, relay, username="viewer", password="secret"
    )
    client = transport._TurnTransport__inner_protocol  # type: ignore[attr-defined]  # no public access
    found = set()
    for number, peer in enumerate(peers):
        try:
            await client.channel_bind(0x4000 + number, (peer, 9))
        except stun.TransactionFailed as failed:
            if failed.response.attributes["ERROR-CODE"][0] != 403:
                raise
            found.add(peer)
    transport.close()
    return found


async def test_the_relay_rejects_every_private_peer(relay: tuple[str, int]) -> None:
    assert await rejected_peers(relay, PRIVATE) == set(PRIVATE)


async def test_the_relay_accepts_public_peers_and_the_server(relay: tuple[str, int]) -> None:
    assert await rejected_peers(relay, ("1.1.1.1", SERVER)) == set()
