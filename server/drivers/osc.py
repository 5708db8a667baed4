"""Parse Open Sound Control 1.0 packets with python-osc, after checks that it leaves to its caller.

python-osc follows negative sizes in a bundle without end, and nested bundles without a limit, and
it logs every argument of an unknown type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message import ParseError as MessageParseError
from pythonosc.parsing import osc_types

from server.errors import BadMessageError

_BUNDLE = b"#bundle\0"
_BUNDLE_HEAD = len(_BUNDLE) + 8
"""Bytes before the elements: the name, and a time, which is ignored: live faces apply at once."""
DEEPEST = 4
"""Maximum nesting of bundles; trackers use one level."""

Arguments = tuple[object, ...]


def read_messages(
    packet: bytes, signatures: Mapping[str, str], depth: int = 0
) -> Iterator[tuple[str, Arguments]]:
    """Yield address and arguments of the requested messages, in their order.

    Args:
        packet: The datagram, or an element of a bundle.
        signatures: Type tags of the messages by address, such as `sf`. Others are skipped.
        depth: Nesting level of the packet.

    Raises:
        BadMessageError: If the packet is malformed, or a message has other arguments.
    """
    if not packet.startswith(_BUNDLE):
        yield from _read_message(packet, signatures)
        return
    if depth >= DEEPEST or len(packet) < _BUNDLE_HEAD:
        raise BadMessageError("expected a bundle with a time, and few levels of bundles")
    at = _BUNDLE_HEAD
    while at < len(packet):
        size = int.from_bytes(packet[at : at + 4], "big")
        begin, at = at + 4, at + 4 + size
        if size == 0 or at > len(packet):
            raise BadMessageError(f"expected elements within the bundle, got one of {size} bytes")
        yield from read_messages(packet[begin:at], signatures, depth + 1)


def _read_message(packet: bytes, signatures: Mapping[str, str]) -> Iterator[tuple[str, Arguments]]:
    if not packet.startswith(b"/"):
        raise BadMessageError("expected an OSC message or bundle, got other bytes")
    try:
        address, at = osc_types.get_string(packet, 0)
        expected = signatures.get(address)
        if expected is None:
            return
        tags = osc_types.get_string(packet, at)[0] if at < len(packet) else ","
        if tags != f",{expected}":
            raise BadMessageError(f"{address}: expected arguments {expected}, got {tags[1:20]}")
        yield address, tuple(OscMessage(packet).params)
    except (osc_types.ParseError, MessageParseError, UnicodeDecodeError) as exc:
        raise BadMessageError("expected an OSC message, got a broken one") from exc
