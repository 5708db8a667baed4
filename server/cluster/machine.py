"""One host per device of this machine, started and supervised by the router itself.

A process has one event loop and one interpreter lock, so several GPUs need several processes to be
used fully, and a GPU that fails takes only its own process with it. The router imports no torch: a
short-lived process finds the devices.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

from server.access_settings import ROOT
from server.cluster.local import LocalPlacement
from server.cluster.supervisor import HostPlan, HostSlot, HostSupervisor
from server.errors import SettingsError
from server.protocol.host_load import HeldStream, HostLoad

logger = logging.getLogger(__name__)

_FIND_S = 120.0
_FIND = """
import json, sys
from pathlib import Path
from server.pool.engine import ModelEngineFactory
try:
    print(json.dumps(ModelEngineFactory(Path()).devices(sys.argv[1])))
except ValueError as exc:
    sys.exit(str(exc))
"""


def find_devices(wanted: str) -> tuple[str, ...]:
    """Return the devices that `wanted` names, in another process.

    Raises:
        SettingsError: If this machine has no such device.
    """
    command = [sys.executable, "-c", _FIND, wanted]
    found = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_FIND_S
    )
    if found.returncode:
        raise SettingsError(f"devices: {found.stderr.strip()}")
    return tuple(json.loads(found.stdout))


class MachinePlacement(LocalPlacement):
    """Placement on hosts of this machine, which run while `run` is running.

    Args:
        plan: How they are started, except for the device of each.
        devices: One host is started for each.
        ip: Address of this machine.
        cores: Cores of this machine; each host counts on its share.
    """

    def __init__(self, plan: HostPlan, devices: Sequence[str], ip: str, cores: int) -> None:
        super().__init__((), None)
        share = str(max(1, cores // len(devices)))
        self.supervisors = tuple(
            HostSupervisor(
                replace(plan, options=("--device", device, "--cores", share, *plan.options)),
                HostSlot(ip, "localhost", index),
            )
            for index, device in enumerate(devices)
        )

    async def _poll_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as keeping:
                for supervisor in self.supervisors:
                    keeping.create_task(supervisor.keep(self._renew))
        finally:
            stops = (asyncio.to_thread(supervisor.stop) for supervisor in self.supervisors)
            await asyncio.gather(*stops)

    async def _renew(self, address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        return self._registry.renew(address, load)
