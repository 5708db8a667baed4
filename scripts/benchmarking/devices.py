"""Many devices of one machine: a host and a process for each, behind a router, with real viewers.

The devices are fakes whose warps only wait, because the scaling of placement, processes and
connections can be measured without eight GPUs: `warp_ms` is long enough for two cores to drive all
devices. Viewers receive real RTP over WebRTC. Measures the frames per second of all viewers by the
number of devices, the distribution of viewers over the hosts, and the interruption when a host is
killed and when one is drained.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from scripts.benchmarking.fake_host import REFRESH_S, WARP_S
from scripts.benchmarking.roaming import RoamingViewers
from server.pool.process_tree import children

_START_S, _RECOVER_S = 300.0, 60.0
_SETTLE_S = 3.0


@dataclass(frozen=True)
class Devices:
    """Frames per second by number of devices, and the loss and draining of one of them."""

    devices: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of fake devices; with the last one a host is also killed, and another one drained."""
    viewers: int = 2
    """Viewers per device."""
    warp_ms: float = 100.0
    """Duration of a warp."""
    fps: float = 12.0
    """Maximum frames per second of a viewer; more than its share of the device."""
    seconds: float = 10.0
    """Duration of each measurement."""


@dataclass(frozen=True)
class _Machine:
    """A running router and its hosts."""

    router: str
    pid: int

    def hosts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx2.get(f"{self.router}/v1/hosts", timeout=10).json()
        return [host for host in found if host["ready"]]

    def pid_of(self, host: str) -> int:
        port = host.rpartition(":")[2].encode()
        for child in children(self.pid):
            if port in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                return child
        raise SystemExit(f"benchmark: no process of {host}")


def devices(command: Devices) -> dict[str, Any]:
    """Run the benchmark."""
    rows: list[dict[str, Any]] = []
    events: dict[str, Any] = {}
    busy = round(os.getloadavg()[0], 1)  # by other programs: nothing has been started yet
    for count in command.devices:
        with _machine(command, count) as machine, _watching(machine, command, count) as viewers:
            rows.append(_measure(machine, viewers, command, count))
            rows[-1]["efficiency"] = _efficiency(rows)
            print(rows[-1], flush=True)
            if count == command.devices[-1] and count > 1:
                events = _lose_and_drain(machine, viewers, count)
    result: dict[str, Any] = {"viewers_per_device": command.viewers, "warp_ms": command.warp_ms}
    return result | {"load_average_before": busy, "rows": rows} | events


def _lose_and_drain(machine: _Machine, viewers: RoamingViewers, count: int) -> dict[str, Any]:
    killed = _after(machine, viewers, signal.SIGKILL)
    print("killed", killed, flush=True)
    _until(lambda: len(machine.hosts()) == count, _START_S)
    drained = _after(machine, viewers, signal.SIGTERM)
    print("drained", drained, flush=True)
    return {"killed": killed, "drained": drained}


@contextmanager
def _machine(command: Devices, count: int) -> Iterator[_Machine]:
    names = ",".join(f"cuda:{index}" for index in range(count))
    options = ["--port", "0", "--first-port", "0", "--devices", names, "--log-level", "error", "--"]
    # Room for the viewers of a lost host, and for all others that were assigned at once.
    options += ["--workers", "1", "--max-sessions", str(command.viewers * count)]
    options += ["--fps", str(command.fps), "--log-level", "error"]
    environment = {WARP_S: str(command.warp_ms / 1e3), REFRESH_S: str(command.warp_ms / 1e3)}
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.benchmarking.fake_machine", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            machine = _Machine(process.stdout.readline().split()[-1], process.pid)
            _until(lambda: len(machine.hosts()) == count, _START_S)
            yield machine
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def _watching(machine: _Machine, command: Devices, count: int) -> Iterator[RoamingViewers]:
    viewers = RoamingViewers(machine.router, command.viewers * count)
    try:
        _until(lambda: all(seen.host for seen in viewers.look()), _START_S)
        time.sleep(_SETTLE_S)
        yield viewers
    finally:
        viewers.close()


def _measure(
    machine: _Machine, viewers: RoamingViewers, command: Devices, count: int
) -> dict[str, Any]:
    before, began = viewers.look(), time.monotonic()
    time.sleep(command.seconds)
    after, elapsed_s = viewers.look(), time.monotonic() - began
    each = [(b.frames - a.frames) / elapsed_s for a, b in zip(before, after, strict=True)]
    spread = Counter(seen.host for seen in after)
    return {
        "devices": count,
        "viewers": len(each),
        "frames_per_s": round(sum(each), 1),
        "slowest_viewer": round(min(each), 1),
        "fastest_viewer": round(max(each), 1),
        "viewers_by_host": sorted(spread.values()),
        "processes": 1 + len(machine.hosts()) * 2,
    }


def _efficiency(rows: list[dict[str, Any]]) -> float:
    """Return the frames per second per device, as a fraction of those of the first row."""
    first, last = (float(row["frames_per_s"]) / int(row["devices"]) for row in (rows[0], rows[-1]))
    return round(last / first, 2)


def _after(machine: _Machine, viewers: RoamingViewers, number: signal.Signals) -> dict[str, Any]:
    """Send a signal to one host; return when its viewers and the others had frames again."""
    before = viewers.look()
    lost = before[0].host
    affected = [index for index, seen in enumerate(before) if seen.host == lost]
    os.kill(machine.pid_of(lost), number)
    began = time.monotonic()
    gaps = {index: 0.0 for index in range(len(before)) if index not in affected}
    moved_s: dict[int, float] = {}
    while len(moved_s) < len(affected) and time.monotonic() - began < _RECOVER_S:
        now = viewers.look()
        for index in gaps:
            gaps[index] = max(gaps[index], time.monotonic() - now[index].last_frame_at)
        for index in affected:
            again = now[index].joined > before[index].joined and now[index].host not in ("", lost)
            if again and now[index].frames > before[index].frames:
                moved_s.setdefault(index, round(time.monotonic() - began, 1))
        time.sleep(0.1)
    spread = Counter(seen.host for seen in viewers.look())
    return {
        "viewers": len(affected),
        "moved_after_s": sorted(moved_s.values()),
        "longest_gap_of_others_s": round(max(gaps.values(), default=0.0), 1),
        "viewers_by_host": sorted(spread.values()),
    }


def _until(condition: Callable[[], bool], timeout_s: float) -> None:
    ends_at = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > ends_at:
            raise SystemExit("benchmark: the hosts or viewers were not ready in time")
        time.sleep(0.2)
