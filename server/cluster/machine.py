"""One host per device of this machine, started and supervised by the router itself.

A process has one event loop and one interpreter lock, so several GPUs need several processes to be
used fully, and a GPU that fails ends only its own process. The router imports no torch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from server.cluster.local import LocalPlacement
from server.cluster.supervisor import HostPlan, HostSlot, HostSupervisor
from server.errors import SettingsError
from server.pool.engine_factory import ModelEngineFactory
from server.protocol.host_load import HeldStream, HostLoad

logger = logging.getLogger(__name__)


def find_devices(wanted: str) -> tuple[str, ...]:
    """Return the devices that `wanted` names.

    Raises:
        SettingsError: If this machine has no such device.
    """
    try:
        return ModelEngineFactory(Path()).devices(wanted)
    except ValueError as exc:
        raise SettingsError(f"devices: {exc}") from exc


class MachinePlacement(LocalPlacement):
    """Placement on hosts of this machine, which run while `run` is running.

    Args:
        plan: How they are started, except for the device of each.
        devices: One host is started for each.
        ip: Address of this machine.
        cores: Cores of this machine; each host uses its share.
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
