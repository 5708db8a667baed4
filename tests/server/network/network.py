"""Networks of Linux network namespaces, and programs that run in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_SOON_S = 20.0


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def require_namespaces() -> None:
    """Skip the test if network namespaces cannot be created."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip` program: apt-get install iproute2")
    name = f"telewarp-probe-{os.getpid()}"
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"network namespaces cannot be created here: {probe.stderr.strip()}")
    _run("ip", "netns", "del", name)


class Namespace:
    """A network namespace.

    Args:
        name: Name of the namespace.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str) -> None:
        """Run a command in the namespace until it exits."""
        _run("ip", "netns", "exec", self.name, *command)

    def wrap(self, program: Path, folder: Path) -> Path:
        """Write a script that runs a program in the namespace; return its path."""
        wrapper = folder / f"{program.name}.sh"
        wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        wrapper.chmod(0o755)
        return wrapper

    @contextmanager
    def running(
        self, log: Path, *command: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program in the namespace until the block ends."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                cwd=ROOT,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@contextmanager
def namespaces(*names: str) -> Iterator[dict[str, Namespace]]:
    """Create namespaces with loopback only; the end of the block deletes them and their links."""
    with ExitStack() as stack:
        made = {}
        for name in names:
            namespace = Namespace(f"telewarp-{name}-{os.getpid()}")
            _run("ip", "netns", "add", namespace.name)
            stack.callback(_run, "ip", "netns", "del", namespace.name)
            namespace.run("ip", "link", "set", "lo", "up")
            made[name] = namespace
        yield made


def connect_namespaces(
    one: Namespace, one_address: str, other: Namespace, other_address: str
) -> None:
    """Connect two namespaces by a veth pair with addresses of one /24."""
    tag = f"{os.getpid() % 0xFFFF:x}{one_address.rpartition('.')[0].replace('.', '')[-4:]}"
    ends = ((one, one_address, f"a{tag}"), (other, other_address, f"b{tag}"))
    _run("ip", "link", "add", ends[0][2], "type", "veth", "peer", "name", ends[1][2])
    for namespace, address, device in ends:
        attach(namespace, address, device)


def attach(namespace: Namespace, address: str, device: str) -> None:
    """Move a network device into a namespace and assign an address of a /24."""
    _run("ip", "link", "set", device, "netns", namespace.name)
    namespace.run("ip", "addr", "add", f"{address}/24", "dev", device)
    namespace.run("ip", "link", "set", device, "up")


def wait_for(log: Path, words: str) -> None:
    """Wait until a log contains this text."""
    deadline = time.monotonic() + _SOON_S
    while words not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, f"expected in the log: {words!r}\n{log.read_text()}"
        time.sleep(0.05)


def python(*arguments: str) -> list[str]:
    """Return a command line for this Python interpreter."""
    return [sys.executable, *arguments]
