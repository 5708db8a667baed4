"""Keep one host running as a child process, and report it to the registry. Imports no Ray."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from server.access_settings import ROOT
from server.auth.tokens import Tokens, read_tokens
from server.cluster.host import POLL_INTERVAL_S, Host, Renew
from server.protocol.host_load import HeldStream, HostLoad

logger = logging.getLogger(__name__)

_STOP_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_SETTLED_S = 30.0
"""A host that ran this long did not fail at its start: it is restarted at once."""


@dataclass(frozen=True)
class HostPlan:
    """How the hosts of a cluster are started; the same for all."""

    options: tuple[str, ...] = ()
    """Options of the server, without those below."""
    listen: str = "{ip}"
    """Address that each host listens on; `{ip}` is replaced by that of its machine in the
    cluster."""
    port: int = 0
    """Port of the first host of a machine; the others use the next ones. 0 for any free port."""
    public_url: str = "http://{ip}:{port}"
    """URL of a host for viewers; `{ip}`, `{port}` and `{name}` (of the machine) are replaced."""
    tokens: Path | None = None
    """The file of tokens, at the same path on every machine."""
    module: str = "server.command"
    """Module whose `main` is run."""


@dataclass(frozen=True)
class HostSlot:
    """Machine and index of one host of the plan."""

    ip: str
    name: str
    index: int
    """Index among the hosts of its machine."""


class HostSupervisor:
    """Runs a host and restarts it whenever it ends.

    Args:
        plan: How hosts are started.
        slot: Its machine and index.
    """

    def __init__(self, plan: HostPlan, slot: HostSlot) -> None:
        self.draining = False
        self.last_log_line = ""
        """The last line of its log."""
        self.responding = False
        """Whether it answered the last poll."""
        self._plan = plan
        self._slot = slot
        self._listen = plan.listen.format(ip=slot.ip)
        self._port = plan.port + slot.index if plan.port else _free_port(self._listen)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._quick_ends = 0
        self._host = Host(f"http://{_local_address(self._listen)}:{self._port}", _tokens(plan))

    @property
    def address(self) -> str:
        """URL at which viewers reach the host."""
        ip, name = self._slot.ip, self._slot.name
        return self._plan.public_url.format(ip=ip, port=self._port, name=name)

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    async def keep(self, renew: Renew) -> None:
        """Run the host until cancelled; report it every second while it responds."""

        async def renew_with_address(_: str, load: HostLoad) -> tuple[HeldStream, ...]:
            draining = self.draining or load.draining
            reported = load.model_copy(update={"address": self.address, "draining": draining})
            return tuple(await renew(self.address, reported))

        while True:
            if not self.running:
                await self._back_off()
                self._start()
            try:
                await self._host.poll(renew_with_address)
                self.responding = True
            except (OSError, ValueError):  # still starting, or disconnected: its lease runs out
                self.responding = False
            await asyncio.sleep(POLL_INTERVAL_S)

    def stop(self) -> None:
        """End the process with SIGTERM, or with SIGKILL after a timeout."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_stdin(self._process)

    def _start(self) -> None:
        command = [sys.executable, "-m", "server.cluster.child_process", self._plan.module]
        options = ["--host", self._listen, "--port", str(self._port)]
        options += ["--public-url", self.address]
        if self._plan.tokens is not None:
            options += ["--tokens", str(self._plan.tokens)]
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            [*command, *options, *self._plan.options],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        )
        logger.info("%s: process %d", self.address, self._process.pid)
        log = self._process.stderr
        threading.Thread(target=self._forward_log, args=[log], name="log", daemon=True).start()

    def _close_stdin(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()

    def _forward_log(self, log: IO[bytes]) -> None:
        """Forward the log of the host, and keep its last line to explain a failed start."""
        with log:
            for line in log:
                self.last_log_line = line.decode(errors="replace").strip() or self.last_log_line
                sys.stderr.buffer.write(line)
                sys.stderr.flush()

    async def _back_off(self) -> None:
        if self._process is None:
            return
        logger.warning("%s ended with code %s", self.address, self._process.returncode)
        self._close_stdin(self._process)
        quick = time.monotonic() - self._started_at < _SETTLED_S
        self._quick_ends = self._quick_ends + 1 if quick else 0
        if self._quick_ends:
            await asyncio.sleep(min(_FIRST_WAIT_S * 2 ** (self._quick_ends - 1), _LONGEST_WAIT_S))


def _tokens(plan: HostPlan) -> Tokens | None:
    return read_tokens(plan.tokens) if plan.tokens is not None else None


def _local_address(listen: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listen, listen)


def _free_port(listen: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in listen else socket.AF_INET) as probe:
        probe.bind((listen, 0))
        port: int = probe.getsockname()[1]
        return port
