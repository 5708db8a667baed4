"""The drivers that the settings ask for."""

from __future__ import annotations

import logging

from prometheus_client import CollectorRegistry, Counter

from models.contract.arkit import ARKIT_NAMES
from server.auth.authentication import is_loopback
from server.drivers import live_link
from server.drivers.listener import Listener, bind
from server.drivers.subjects import Subjects
from server.errors import SettingsError
from server.settings import Settings
from server.streams.streams import Streams

logger = logging.getLogger(__name__)

LIVE_LINK_PER_S = 600.0
"""Packets per second of one IP address: a phone sends 60, a computer may relay several."""


class Drivers:
    """All UDP drivers of a server.

    Args:
        settings: Which to open, and where.
        streams: Where their subjects get streams.

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
        """By name."""
        if settings.live_link_port is not None:
            _check_avatar(settings.drivers_avatar, streams)
            self._open_live_link(settings, streams)

    def _open_live_link(self, settings: Settings, streams: Streams) -> None:
        assert settings.live_link_port is not None
        self.listeners["live_link"] = Listener(
            "live_link",
            bind(settings.drivers_host, settings.live_link_port, "--live-link-port"),
            live_link.read_packet,
            Subjects(streams, settings.drivers_avatar, settings.max_subjects),
            LIVE_LINK_PER_S,
            self._counter,
        )

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
    if settings.live_link_port is None:
        return
    if settings.tokens is not None and not settings.drivers_without_tokens:
        raise SettingsError(
            "packets of UDP drivers carry no token, so expected --drivers-without-tokens beside "
            "--tokens: whoever reaches their port can then drive a face"
        )
    if not is_loopback(settings.drivers_host):
        logger.warning(
            "whoever reaches UDP port %s of %s can drive a face: its packets carry no token",
            settings.live_link_port,
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
