"""Reads packets of the app Live Link Face (Epic Games), which sends one per face and frame by UDP.

Big-endian: u8 version (6), i32 length and device id, i32 length and subject, i32 frame, f32
subframe, i32 frames per second, i32 denominator, u8 count (61), 61 x f32. While the app sees no
face, the packet ends before the count. Source: JimWest/PyLiveLinkFace and tbxMb/GodotLiveLinkFace
(doc/proto.md), and the order of `EARFaceBlendShape` in Unreal Engine.

The nine values after the coefficients are angles in radians. Those of the eyes repeat the
coefficients `eyeLook*` and are not used. In recordings of the app an eye that looks to the person's
own left has a negative yaw, of up to 0.6 at full deflection, and one that looks down a positive
pitch; Unreal computes the angles of the head with the same expressions.
"""

from __future__ import annotations

import struct
from math import isfinite

from models.contract.arkit import ARKIT_NAMES
from server.drivers.faces import DrivenFace
from server.errors import BadMessageError
from server.streams.head_pose import head_rotation

PORT = 11111
"""The app's default."""
VERSION = 6
_SIDES = ("Left", "Right")
ORDER = (
    *(
        f"eye{what}{side}"
        for side in _SIDES
        for what in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
    ),
    # Left before right. The app's CSV files have them the other way round, in the mouth as well.
    *("jawForward", "jawLeft", "jawRight", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *(f"mouth{what}{side}" for what in ("Smile", "Frown", "Dimple", "Stretch") for side in _SIDES),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *(f"mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in _SIDES),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("noseSneerLeft", "noseSneerRight", "tongueOut"),
)
"""ARKit's names in the order of a packet, before the nine angles."""
assert sorted(ORDER) == sorted(ARKIT_NAMES)
_ANGLES = 9
"""Yaw, pitch and roll of the head, of the left and of the right eye."""
_VALUES = struct.Struct(f">{len(ORDER) + _ANGLES}f")
_TIME = struct.Struct(">ifii")
_LENGTH = struct.Struct(">i")
_LONGEST_NAME = 256
"""Bytes of a device id or a subject; the app's ids have 36."""
_METAHUMAN_POSE = 6 * 4
"""Bytes of the head pose that ends a packet of the app's other mode."""


def read_packet(packet: bytes, address: str) -> DrivenFace | None:
    """Read one packet.

    Args:
        packet: The datagram.
        address: IP address of the sender.

    Returns:
        The face; None while the app sees none.

    Raises:
        BadMessageError: If the packet is malformed, or of the app's MetaHuman mode.
    """
    try:
        return _read(packet, address)
    except BadMessageError:
        if _is_metahuman(packet):
            raise BadMessageError(
                "expected packets of the mode `Live Link (ARKit)`, got one of the mode `MetaHuman "
                "Animator`, which has other coefficients: choose the ARKit mode in the app"
            ) from None
        raise


def _read(packet: bytes, address: str) -> DrivenFace | None:
    if not packet or packet[0] != VERSION:
        got = f"version {packet[0]}" if packet else "an empty one"
        raise BadMessageError(f"expected a packet of version {VERSION}, got {got}")
    device, at = _read_name(packet, 1, "device id")
    subject, at = _read_name(packet, at, "subject")
    captured_at_ms = _read_time(packet, at)
    at += _TIME.size
    if at == len(packet):
        return None
    values = _read_values(packet, at)
    yaw, pitch, roll = values[len(ORDER) : len(ORDER) + 3]
    return DrivenFace(
        subject=subject,
        sender=f"{address} {device}",
        coefficients=dict(zip(ORDER, values, strict=False)),
        # The app counts to the face's right, down, and towards its left shoulder.
        head_rotation=head_rotation(-yaw, pitch, -roll),
        captured_at_ms=captured_at_ms,
    )


def _read_name(packet: bytes, at: int, what: str) -> tuple[str, int]:
    """Return a text with its length before it, and where it ends."""
    begin = at + _LENGTH.size
    length = _LENGTH.unpack_from(packet, at)[0] if begin <= len(packet) else -1
    if not 0 < length <= _LONGEST_NAME or begin + length > len(packet):
        raise BadMessageError(f"{what}: expected 1 to {_LONGEST_NAME} bytes in a packet, got less")
    try:
        return packet[begin : begin + length].decode(), begin + length
    except UnicodeDecodeError:
        raise BadMessageError(f"{what}: expected UTF-8, got other bytes") from None


def _read_time(packet: bytes, at: int) -> float:
    """Return the time code in milliseconds."""
    if at + _TIME.size > len(packet):
        raise BadMessageError(f"time code: expected {_TIME.size} bytes, got {len(packet) - at}")
    frame, subframe, fps, denominator = _TIME.unpack_from(packet, at)
    if not isfinite(subframe) or not 0 <= subframe <= 1 or frame < 0 or min(fps, denominator) <= 0:
        raise BadMessageError(
            "time code: expected a frame, a part of it and a positive rate, got "
            f"{frame}, {subframe:g} and {fps}/{denominator}"
        )
    return 1000.0 * float(frame + subframe) * float(denominator) / float(fps)


def _read_values(packet: bytes, at: int) -> tuple[float, ...]:
    count, size = packet[at], len(packet) - at - 1
    if count != len(ORDER) + _ANGLES or size != _VALUES.size:
        raise BadMessageError(
            f"expected {len(ORDER) + _ANGLES} values in {_VALUES.size} bytes, got {count} in {size}"
        )
    values: tuple[float, ...] = _VALUES.unpack_from(packet, at + 1)
    if not all(map(isfinite, values)):
        raise BadMessageError("expected finite values, got others")
    return values


def _is_metahuman(packet: bytes) -> bool:
    """Whether a packet has the layout of the app's other mode.

    u16 version, u16 length and subject, time code as above, u16 count and as many u16, 6 x f32.
    """
    for order in ("little", "big"):
        length = int.from_bytes(packet[2:4], order)
        at = 4 + length + _TIME.size
        count = int.from_bytes(packet[at : at + 2], order)
        if length and count and len(packet) == at + 2 + 2 * count + _METAHUMAN_POSE:
            return True
    return False
