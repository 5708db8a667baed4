"""Placement of hosts and viewers in a Ray cluster. The only file that imports Ray.

One detached, named actor per GPU (or per machine without a GPU) is pinned to its machine and
supervises a complete server there, in a child process that does not use Ray. Another detached actor
holds the registry, which routers query.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from server.cluster.registry import HostStatus, Registry
from server.cluster.supervisor import HostPlan, HostSlot, HostSupervisor
from server.errors import NotReadyError, SettingsError
from server.protocol.host_load import HeldStream, HostLoad

logger = logging.getLogger(__name__)

NAMESPACE = "telewarp"
REGISTRY = "registry"
_HOST = "host-"
_CONNECT_S = 3.0
_CALL_S = 10.0
"""Timeout, seconds: the process of an actor takes some seconds to start."""
_START_WAIT_S = 60.0
"""Longest time to wait until all started hosts respond."""
_REQUEST_TIMEOUT_S = 2.0
_HEAD = "node:__internal_head__"
"""Ray's own name for the machine that leads the cluster."""


def connect(address: str) -> None:
    """Connect to a Ray cluster as a client.

    Args:
        address: `HOST:PORT` of its head.

    Raises:
        SettingsError: If none answers there, where Ray itself would wait for minutes.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_S).close()
    except (OSError, ValueError) as exc:
        raise SettingsError(f"no Ray cluster answers at {address}: {exc}") from exc
    ray.init(
        address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING
    )


class RegistryActor(Registry):
    """The registry, as an actor."""


class HostActor:
    """Actor that supervises one host on its machine.

    Args:
        plan: Command and options of the host.
        slot: The machine and the GPU that it uses.
        registry: The actor of the registry.
    """

    def __init__(self, plan: HostPlan, slot: HostSlot, registry: Any) -> None:
        self._registry = registry
        self._supervisor = HostSupervisor(plan, slot)
        # Not in a call of this actor: Ray ends a call with the program that made it.
        threading.Thread(target=self._supervise, name="supervise", daemon=True).start()

    def address(self) -> str:
        """Return the address at which viewers reach the host."""
        return self._supervisor.address

    def problem(self) -> str | None:
        """Return the last log line of a host that does not respond yet; None if it responds."""
        return (
            None
            if self._supervisor.responding
            else self._supervisor.last_log_line or "it is still starting"
        )

    def drain(self) -> None:
        """Stop sending viewers to the host."""
        self._supervisor.draining = True

    def stop(self) -> None:
        """Stop the host; the actor may be killed afterwards."""
        self._loop.call_soon_threadsafe(self._supervision.cancel)
        self._supervisor.stop()

    def _supervise(self) -> None:
        async def keep() -> None:
            self._loop = asyncio.get_running_loop()
            self._supervision = asyncio.ensure_future(self._supervisor.keep(self._renew))
            await asyncio.wait([self._supervision])

        asyncio.run(keep())

    async def _renew(self, address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        asked = self._registry.renew.remote(address, load)
        try:
            return tuple(await asyncio.to_thread(ray.get, asked, timeout=_REQUEST_TIMEOUT_S))
        except RayError as exc:
            raise OSError(f"the registry does not answer: {exc}") from exc


def start_hosts(plan: HostPlan) -> dict[str, str | None]:
    """Start the missing hosts: one per GPU, or one per machine without a GPU.

    Args:
        plan: Command and options of the hosts.

    Returns:
        By address of each host, why it does not respond yet; None if it responds.
    """
    registry = _start_registry()
    actors = [
        _start_host(plan, node, index, registry)
        for node in _nodes()
        for index in _slot_indices(node)
    ]
    waiting = {_get(actor.address.remote()): actor for actor in actors}
    problems: dict[str, str | None] = {}
    deadline = time.monotonic() + _START_WAIT_S
    while True:
        problems |= {address: _get(actor.problem.remote()) for address, actor in waiting.items()}
        if time.monotonic() > deadline or not any(problems.values()):
            return problems
        time.sleep(1)


def hosts() -> tuple[HostStatus, ...]:
    """Return all hosts that are not lost.

    Raises:
        NotReadyError: If no hosts were ever started, or the cluster does not answer.
    """
    found: tuple[HostStatus, ...] = _get(_find_registry().hosts.remote())
    return found


def drain(address: str) -> None:
    """Stop sending viewers to a host.

    Raises:
        NotReadyError: If there is no such host, or it does not answer.
    """
    _get(_find_host(address).drain.remote())


def stop(address: str) -> None:
    """Stop a host and kill its actor.

    Raises:
        NotReadyError: If there is no such host, or it does not answer.
    """
    actor = _find_host(address)
    _get(actor.stop.remote(), _CALL_S * 2)
    ray.kill(actor)


class RayPlacement:
    """Requests placements from the registry of a Ray cluster, after `connect`."""

    def __init__(self) -> None:
        self._registry = _find_registry()

    async def place_viewer(self, stream_id: str) -> str:
        """Delegate to the registry's actor."""
        return str(await self._request("place_viewer", stream_id))

    async def find_stream(self, stream_id: str) -> str:
        """Delegate to the registry's actor."""
        return str(await self._request("find_stream", stream_id))

    async def place_stream(self, stream_id: str | None) -> str:
        """Delegate to the registry's actor."""
        return str(await self._request("place_stream", stream_id))

    async def place_call(self, call: str) -> str:
        """Delegate to the registry's actor."""
        return str(await self._request("place_call", call))

    async def hosts(self) -> tuple[HostStatus, ...]:
        """Delegate to the registry's actor."""
        return tuple(await self._request("hosts"))

    async def streams(self) -> tuple[HeldStream, ...]:
        """Delegate to the registry's actor."""
        return tuple(await self._request("streams"))

    async def _request(self, call: str, *arguments: object) -> Any:
        with _as_telewarp_errors():
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                return await getattr(self._registry, call).remote(*arguments)


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _slot_indices(node: dict[str, Any]) -> range:
    return range(int(node["Resources"].get("GPU", 0)) or 1)


def _start_registry() -> Any:
    options = {"num_cpus": 0, "resources": {_HEAD: 0.001}, "max_restarts": -1}
    return _start(RegistryActor, REGISTRY, options)


def _start_host(plan: HostPlan, node: dict[str, Any], index: int, registry: Any) -> Any:
    slot = HostSlot(node["NodeManagerAddress"], node["NodeManagerHostname"], index)
    options = {
        "num_cpus": 0,
        "num_gpus": 1 if node["Resources"].get("GPU", 0) else 0,
        "max_restarts": -1,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
    }
    return _start(HostActor, f"{_HOST}{node['NodeID'][:12]}-{index}", options, plan, slot, registry)


def _start(actor: type, name: str, options: dict[str, Any], *arguments: object) -> Any:
    remote: Any = ray.remote(actor)
    lasting = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True}
    return remote.options(**lasting, **options).remote(*arguments)


def _find_registry() -> Any:
    try:
        return ray.get_actor(REGISTRY, NAMESPACE)
    except ValueError as exc:
        raise NotReadyError("there are no hosts in this Ray cluster yet") from exc


def _find_host(address: str) -> Any:
    known, silent = [], 0
    for actor in _host_actors():
        try:
            known.append(_get(actor.address.remote()))
        except NotReadyError:  # its machine is lost; the search continues on the others
            silent += 1
            continue
        if known[-1] == address:
            return actor
    others = f", and {silent} that do not answer" if silent else ""
    raise NotReadyError(f"no host {address!r}; there are: {', '.join(known) or 'none'}{others}")


def _host_actors() -> Iterator[Any]:
    for entry in ray.util.list_named_actors(all_namespaces=True):
        if entry["namespace"] == NAMESPACE and entry["name"].startswith(_HOST):
            yield ray.get_actor(entry["name"], NAMESPACE)


def _get(asked: Any, seconds: float = _CALL_S) -> Any:
    with _as_telewarp_errors():
        return ray.get(asked, timeout=seconds)


@contextmanager
def _as_telewarp_errors() -> Iterator[None]:
    """Re-raise an actor's own errors unchanged, and errors of Ray as `NotReadyError`."""
    try:
        yield
    except RayTaskError as exc:
        raise exc.cause from None
    except (RayError, GetTimeoutError, TimeoutError) as exc:
        raise NotReadyError(f"the Ray cluster does not answer: {exc or 'timeout'}") from exc
