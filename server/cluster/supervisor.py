"""Keeps one host running as a child process, and tells the registry of it. Imports no Ray."""

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

from server.auth.tokens import Tokens, read_tokens
from server.cluster.host import BEAT_S, Host, Renew
from server.protocol.host_load import HeldStream, HostLoad
from server.settings import ROOT

logger = logging.getLogger(__name__)

_STOP_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_SETTLED_S = 30.0
"""A host that ran this long did not end of its start: the next one starts at once."""


@dataclass(frozen=True)
class HostPlan:
    """How the hosts of a cluster are started; the same for all."""

    options: tuple[str, ...] = ()
    """The server's, without those below."""
    listen: str = "{ip}"
    """Address each listens on; `{ip}` is the one that its machine has in the cluster."""
    port: int = 0
    """Of the first host of a machine; the others take the next ones. 0 for any that is free."""
    public_url: str = "http://{ip}:{port}"
    """How viewers reach a host: `{ip}`, `{port}` and `{name}` (the machine's) are put in."""
    tokens: Path | None = None
    """The file of tokens, at the same place on every machine."""
    module: str = "server.__main__"
    """Whose `main` is run."""


@dataclass(frozen=True)
class Seat:
    """Where one host of the plan is."""

    ip: str
    name: str
    index: int
    """Among those of its machine."""


class HostSupervisor:
    """Runs a host, and another whenever it ends.

    Args:
        plan: How.
        seat: Where.
    """

    def __init__(self, plan: HostPlan, seat: Seat) -> None:
        self.draining = False
        self.said = ""
        """The last line of its log."""
        self.answers = False
        """Whether it told its load the last time it was asked."""
        self._plan = plan
        self._seat = seat
        self._listen = plan.listen.format(ip=seat.ip)
        self._port = plan.port + seat.index if plan.port else _free_port(self._listen)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._quick_ends = 0
        self._host = Host(f"http://{_reached_at(self._listen)}:{self._port}", _tokens(plan))

    @property
    def address(self) -> str:
        """Where viewers reach it."""
        ip, name = self._seat.ip, self._seat.name
        return self._plan.public_url.format(ip=ip, port=self._port, name=name)

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    async def keep(self, renew: Renew) -> None:
        """Run it until cancelled; tell of it every second while it answers."""

        async def renew_it(_: str, load: HostLoad) -> tuple[HeldStream, ...]:
            draining = self.draining or load.draining
            told = load.model_copy(update={"address": self.address, "draining": draining})
            return tuple(await renew(self.address, told))

        while True:
            if not self.running:
                await self._back_off()
                self._start()
            try:
                await self._host.beat(renew_it)
                self.answers = True
            except (OSError, ValueError):  # still starting, or gone: its lease runs out
                self.answers = False
            await asyncio.sleep(BEAT_S)

    def stop(self) -> None:
        """End its process in order, or else by force."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._untie(self._process)

    def _start(self) -> None:
        command = [sys.executable, "-m", "server.cluster.tethered", self._plan.module]
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
        threading.Thread(target=self._listen_to, args=[log], name="log", daemon=True).start()

    def _untie(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()

    def _listen_to(self, log: IO[bytes]) -> None:
        """Pass its log on, and remember the last line for whoever asks why it does not run."""
        with log:
            for line in log:
                self.said = line.decode(errors="replace").strip() or self.said
                sys.stderr.buffer.write(line)
                sys.stderr.flush()

    async def _back_off(self) -> None:
        if self._process is None:
            return
        logger.warning("%s ended with code %s", self.address, self._process.returncode)
        self._untie(self._process)
        quick = time.monotonic() - self._started_at < _SETTLED_S
        self._quick_ends = self._quick_ends + 1 if quick else 0
        if self._quick_ends:
            await asyncio.sleep(min(_FIRST_WAIT_S * 2 ** (self._quick_ends - 1), _LONGEST_WAIT_S))


def _tokens(plan: HostPlan) -> Tokens | None:
    return read_tokens(plan.tokens) if plan.tokens is not None else None


def _reached_at(listen: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listen, listen)


def _free_port(listen: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in listen else socket.AF_INET) as probe:
        probe.bind((listen, 0))
        port: int = probe.getsockname()[1]
        return port
