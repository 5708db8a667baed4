"""Creates the drivers of the settings."""

from __future__ import annotations

import logging

from prometheus_client import CollectorRegistry, Counter

from models.contract.arkit import ARKIT_NAMES
from server.drivers import live_link
from server.drivers.listener import Listener, Read, bind
from server.drivers.subjects import Subjects
from server.drivers.vmc import VmcReader
from server.errors import SettingsError
from server.network.addresses import is_loopback
from server.settings import Settings
from server.streams.streams import Streams

logger = logging.getLogger(__name__)

LIVE_LINK_PER_S = 600.0
"""Packets per second of one IP address: a phone sends 60, a computer may relay several."""
VMC_PER_S = 12_000.0
"""Some trackers send each of the 52 coefficients and 55 bones in a packet of its own."""


class Drivers:
    """All UDP drivers of a server.

    Args:
        settings: Ports and addresses of the drivers.
        streams: Contain the streams of their subjects.

    Raises:
        SettingsError: If a port is taken, or the avatar has no coefficients of ARKit.
    """

    def __init__(self, settings: Settings, streams: Streams) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        """Contains the metric of the drivers only."""
        self._counter = Counter(
            "telewarp_driver_packets",
            "UDP packets of trackers",
            ["driver", "result"],
            registry=self.registry,
        )
        self.listeners: dict[str, Listener] = {}
        """Listeners by name."""
        self._settings = settings
        self._streams = streams
        if settings.live_link_port is not None:
            self._open("live_link", settings.live_link_port, live_link.read_packet, LIVE_LINK_PER_S)
        if settings.vmc_port is not None:
            self._open("vmc", settings.vmc_port, VmcReader().read_packet, VMC_PER_S)

    def _open(self, name: str, port: int, read: Read, packets_per_s: float) -> None:
        settings = self._settings
        _check_avatar(settings.drivers_avatar, self._streams)
        option = f"--{name.replace('_', '-')}-port"
        try:
            bound = bind(settings.drivers_host, port, option)
        except SettingsError:
            self.close()
            raise
        subjects = Subjects(self._streams, settings.drivers_avatar, settings.max_subjects)
        self.listeners[name] = Listener(name, bound, read, subjects, packets_per_s, self._counter)

    def close(self) -> None:
        """Close all sockets; the streams remain."""
        for listener in self.listeners.values():
            listener.close()
        self.listeners.clear()


def check_drivers(settings: Settings) -> None:
    """Refuse UDP drivers beside tokens, unless an option allows them.

    Raises:
        SettingsError: If they are not allowed.
    """
    ports = [port for port in (settings.live_link_port, settings.vmc_port) if port is not None]
    if not ports:
        return
    if settings.tokens is not None and not settings.allow_unauthenticated_drivers:
        raise SettingsError(
            "packets of UDP drivers carry no token, so expected --allow-unauthenticated-drivers "
            "beside --tokens: anyone who reaches their port can then drive a face"
        )
    if not is_loopback(settings.drivers_host):
        logger.warning(
            "anyone who reaches UDP port %s of %s can drive a face: its packets carry no token",
            " and ".join(map(str, ports)),
            settings.drivers_host,
        )


def _check_avatar(avatar_id: str, streams: Streams) -> None:
    avatar = streams.avatars.get(avatar_id)
    if avatar is None:
        known = ", ".join(sorted(streams.avatars)) or "none"
        raise SettingsError(f"--drivers-avatar: no avatar {avatar_id!r}; there are: {known}")
    if not set(avatar.expression_names) & set(ARKIT_NAMES):
        raise SettingsError(
            f"--drivers-avatar: expected an avatar with coefficients of ARKit, got {avatar_id!r}"
        )
