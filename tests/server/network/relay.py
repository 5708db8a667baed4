"""A coturn relay between two networks without a route to each other.

    viewer 10.77.1.2 -- 10.77.1.1 relay 10.77.2.1 -- 10.77.2.2 server

A TCP forwarder in the middle carries HTTP, like a web proxy; UDP can only use the relay.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.server.network.network import (
    Namespace,
    connect_namespaces,
    namespaces,
    python,
    require_namespaces,
    wait_for,
)

ADDRESS = "http://10.77.1.1:8000"
"""Address of the server for the viewer."""
TURN_SERVER = "turn:10.77.2.1:3478?transport=udp"
_SECRET = "north"
_TURNSERVER = f"""
listening-ip=10.77.2.1
listening-port=3478
relay-ip=10.77.2.1
min-port=49000
max-port=49100
realm=telewarp
use-auth-secret
static-auth-secret={_SECRET}
no-tls
no-dtls
no-cli
log-file=stdout
userdb={{folder}}/turn.db
pidfile={{folder}}/turn.pid
"""
_FORWARD = """
import asyncio

async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def forward(reader, writer):
    other_reader, other_writer = await asyncio.open_connection("10.77.2.2", 8000)
    await asyncio.gather(pump(reader, other_writer), pump(other_reader, writer))

async def main():
    server = await asyncio.start_server(forward, "10.77.1.1", 8000)
    print("forwarding", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def divided_network(folder: Path) -> Iterator[dict[str, Namespace]]:
    """Run a server and a relay; yield the namespaces `viewer`, `relay` and `server`.

    Skips the test if that is impossible.
    """
    require_namespaces()
    if shutil.which("turnserver") is None:
        pytest.skip("no coturn: apt-get install coturn")
    with ExitStack() as stack:
        net = stack.enter_context(namespaces("viewer", "relay", "server"))
        connect_namespaces(net["viewer"], "10.77.1.2", net["relay"], "10.77.1.1")
        connect_namespaces(net["relay"], "10.77.2.1", net["server"], "10.77.2.2")
        net["relay"].run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        # The viewer has a route to the relay's other address only.
        net["viewer"].run("ip", "route", "add", "10.77.2.1/32", "via", "10.77.1.1")
        configuration = folder / "turnserver.conf"
        configuration.write_text(_TURNSERVER.format(folder=folder))
        turnserver = ("turnserver", "-c", str(configuration))
        stack.enter_context(net["relay"].running(folder / "turn.txt", *turnserver))
        forwarder, log = folder / "forwarder.txt", folder / "server.txt"
        stack.enter_context(net["relay"].running(forwarder, *python("-c", _FORWARD)))
        stack.enter_context(
            net["server"].running(
                log,
                *python("-m", "tests.server.network.fake_server"),
                *(
                    "--host",
                    "10.77.2.2",
                    "--insecure",
                    "--workers",
                    "1",
                    "--udp-ports",
                    "40000-40010",
                ),
                *("--ice-servers", TURN_SERVER),
                environment={"TELEWARP_TURN_SECRET": _SECRET},
            )
        )
        wait_for(forwarder, "forwarding")
        wait_for(log, "showing the face")
        yield net
