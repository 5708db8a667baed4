"""Small networks of Linux network namespaces, and the programs in them."""

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
    """Skip the test where namespaces cannot be made."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip` program: apt-get install iproute2")
    name = f"telewarp-probe-{os.getpid()}"
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"network namespaces cannot be made here: {probe.stderr.strip()}")
    _run("ip", "netns", "del", name)


class Place:
    """One namespace: a machine of its own, with an address on one wire to another.

    Args:
        name: Of the namespace.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str) -> None:
        """Run a command to its end."""
        _run("ip", "netns", "exec", self.name, *command)

    def wrap(self, program: Path, folder: Path) -> Path:
        """Write a program that runs another one here."""
        wrapper = folder / f"{program.name}.sh"
        wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        wrapper.chmod(0o755)
        return wrapper

    @contextmanager
    def running(
        self, log: Path, *command: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program until the block ends."""
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
def places(*names: str) -> Iterator[dict[str, Place]]:
    """Make namespaces with nothing but loopback; they and their wires end with the block."""
    with ExitStack() as stack:
        made = {}
        for name in names:
            place = Place(f"telewarp-{name}-{os.getpid()}")
            _run("ip", "netns", "add", place.name)
            stack.callback(_run, "ip", "netns", "del", place.name)
            place.run("ip", "link", "set", "lo", "up")
            made[name] = place
        yield made


def wire(one: Place, one_address: str, other: Place, other_address: str) -> None:
    """Lay a cable between two places: addresses of the same /24, one at each end."""
    tag = f"{os.getpid() % 0xFFFF:x}{one_address.rpartition('.')[0].replace('.', '')[-4:]}"
    ends = ((one, one_address, f"a{tag}"), (other, other_address, f"b{tag}"))
    _run("ip", "link", "add", ends[0][2], "type", "veth", "peer", "name", ends[1][2])
    for place, address, device in ends:
        attach(place, address, device)


def attach(place: Place, address: str, device: str) -> None:
    """Move a network device into a place and give it an address of a /24."""
    _run("ip", "link", "set", device, "netns", place.name)
    place.run("ip", "addr", "add", f"{address}/24", "dev", device)
    place.run("ip", "link", "set", device, "up")


def wait_for(log: Path, words: str) -> None:
    """Wait until a program has said this."""
    deadline = time.monotonic() + _SOON_S
    while words not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, f"not said: {words!r}\n{log.read_text()}"
        time.sleep(0.05)


def python(*arguments: str) -> list[str]:
    """A command that runs Python as this one runs."""
    return [sys.executable, *arguments]
