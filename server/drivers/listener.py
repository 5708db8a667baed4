"""A UDP socket for packets of trackers: rate limits, counters, and the newest packet wins."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable

from prometheus_client import Counter

from server.auth.limits import Limits
from server.drivers.faces import DrivenFace
from server.drivers.subjects import Outcome, Subjects
from server.errors import BadMessageError, SettingsError, TooManyRequestsError

logger = logging.getLogger(__name__)

Read = Callable[[bytes, str], DrivenFace | None]
"""Reads a datagram of an IP address; None if it shows no face. Raises `BadMessageError`."""

LARGEST_PACKET = 8192
"""Maximum size of a datagram, bytes; those of trackers are below 1500."""
MOST_AT_ONCE = 512
"""Packets read per iteration of the event loop."""
LOG_INTERVAL_S = 10.0
"""Minimum interval of log lines for one kind of fault, seconds."""


class Listener:
    """Receives one kind of tracker.

    Args:
        name: Name in the log and the metric.
        bound: The socket, bound and non-blocking; closed by `close`.
        read: Reads a packet.
        subjects: Publish the faces.
        packets_per_s: Rate limit of one IP address, on average.
        counter: The metric, by driver and result.
    """

    def __init__(
        self,
        name: str,
        bound: socket.socket,
        read: Read,
        subjects: Subjects,
        packets_per_s: float,
        counter: Counter,
    ) -> None:
        self._name = name
        self._socket = bound
        self._read = read
        self._subjects = subjects
        self._limits = Limits(packets_per_s, connections=1)
        self._counts = {outcome: counter.labels(name, outcome) for outcome in Outcome}
        self._logged_at: dict[Outcome, float] = {}
        asyncio.get_running_loop().add_reader(bound, self._receive)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    def close(self) -> None:
        """Stop receiving."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _receive(self) -> None:
        """Read all waiting packets and show the newest face of each subject and sender."""
        newest: dict[tuple[str, str], DrivenFace] = {}
        for _ in range(MOST_AT_ONCE):
            try:
                packet, (address, *_) = self._socket.recvfrom(LARGEST_PACKET + 1)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as exc:  # an ICMP error of an earlier packet, or no memory
                logger.debug("%s: cannot receive: %s", self._name, exc)
                break
            face = self._take(packet, address)
            if face is not None:
                self._keep_newest(newest, face)
        for face in newest.values():
            self._note(*self._subjects.publish(face))

    def _keep_newest(self, newest: dict[tuple[str, str], DrivenFace], face: DrivenFace) -> None:
        replaced = newest.pop((face.subject, face.sender), None)
        if replaced is not None:
            self._note(Outcome.LATE, "")
            if (face.captured_at_ms or 0.0) < (replaced.captured_at_ms or 0.0):
                face = replaced
        newest[face.subject, face.sender] = face

    def _take(self, packet: bytes, address: str) -> DrivenFace | None:
        try:
            with self._limits.request(address):
                pass
        except TooManyRequestsError:
            self._note(Outcome.LIMITED, "more packets than its rate allows")
            return None
        try:
            if len(packet) > LARGEST_PACKET:
                raise BadMessageError(f"expected at most {LARGEST_PACKET} bytes, got more")
            face = self._read(packet, address)
        except BadMessageError as exc:
            self._note(Outcome.MALFORMED, str(exc))
            return None
        if face is None:
            self._note(Outcome.NO_FACE, "")
        return face

    def _note(self, outcome: Outcome, why: str) -> None:
        """Count a packet, and log a fault unless one of its kind was logged lately."""
        self._counts[outcome].inc()
        now = time.monotonic()
        if why and now - self._logged_at.get(outcome, -LOG_INTERVAL_S) >= LOG_INTERVAL_S:
            self._logged_at[outcome] = now
            logger.warning("%s: packets %s: %s", self._name, outcome, why)


def bind(host: str, port: int, option: str) -> socket.socket:
    """Return a non-blocking UDP socket.

    Args:
        host: IP address.
        port: Port; 0 for any free one.
        option: Name of the option that sets the port, for the error.

    Raises:
        SettingsError: If the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.bind((host, port))
    except OSError as exc:
        bound.close()
        raise SettingsError(f"{option}: cannot listen on {host}:{port}: {exc.strerror}") from exc
    bound.setblocking(False)
    return bound
