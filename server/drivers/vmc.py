"""Reads packets of the VMC protocol (Virtual Motion Capture, by OSC), which many trackers send.

`/VMC/Ext/Blend/Val` (name, value) sets a coefficient, `/VMC/Ext/Blend/Apply` applies all that were
set, and `/VMC/Ext/Bone/Pos` (bone, position, rotation) turns a bone relative to its parent. A
packet may contain one message or a bundle. Source: protocol.vmc.info.

Bones are in the axes of Unity: left-handed, +Y up, and the model faces +Z, so that +X is to its own
right. Ours has +X to its left: mirroring at X turns a rotation (x, y, z, w) into (x, -y, -z, w).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from math import isfinite, sqrt

import numpy as np

from models.contract.arkit import arkit_name
from server.drivers.faces import DrivenFace
from server.drivers.osc import read_messages
from server.drivers.vrm_presets import preset_coefficients, preset_name
from server.errors import BadMessageError

PORT = 39539
"""The usual port of programs that receive data of trackers."""
SUBJECT = "vmc"
"""Name of the subject, as the protocol has none: one performer sends to one port."""
VALUE, APPLY, BONE = "/VMC/Ext/Blend/Val", "/VMC/Ext/Blend/Apply", "/VMC/Ext/Bone/Pos"
SIGNATURES = {VALUE: "sf", APPLY: "", BONE: "sfffffff"}
CHAIN = ("Spine", "Chest", "UpperChest", "Neck", "Head")
"""Bones whose rotations add up to that of the head, parents first. The hips are left out, because
they turn with the chair."""
MOST_SENDERS = 16
"""Maximum number of senders whose values are stored; the one that is silent for longest is
dropped."""

Quaternion = tuple[float, float, float, float]
_NO_ROTATION: Quaternion = (0.0, 0.0, 0.0, 1.0)


@dataclass(eq=False)
class _Sender:
    """Values that one sender has set so far."""

    arkit: dict[str, float] = field(default_factory=dict)
    presets: dict[str, float] = field(default_factory=dict)
    bones: dict[str, Quaternion] = field(default_factory=dict)

    def face(self, address: str) -> DrivenFace:
        # Senders with ARKit's names send the presets as well, which show the same face again.
        coefficients = dict(self.arkit) if self.arkit else preset_coefficients(self.presets)
        rotation = _NO_ROTATION
        for bone in CHAIN:
            rotation = _multiply(rotation, self.bones.get(bone, _NO_ROTATION))
        return DrivenFace(SUBJECT, address, coefficients, np.array(rotation, np.float32))


class VmcReader:
    """Reads the packets of all senders."""

    def __init__(self) -> None:
        self._senders: OrderedDict[str, _Sender] = OrderedDict()

    def read_packet(self, packet: bytes, address: str) -> DrivenFace | None:
        """Read one packet.

        Args:
            packet: The datagram.
            address: IP address of the sender.

        Returns:
            The face, if the packet applies one.

        Raises:
            BadMessageError: If the packet is malformed; then it has no effect.
        """
        messages = [_check(*message) for message in read_messages(packet, SIGNATURES)]
        sender = self._sender(address)
        applied: DrivenFace | None = None
        for name, values in messages:
            if name is None:
                applied = sender.face(address)
            elif len(values) == 1:
                _set_value(sender, name, values[0])
            elif name in CHAIN:
                sender.bones[name] = _to_server_axes(values)
        return applied

    def _sender(self, address: str) -> _Sender:
        sender = self._senders.pop(address, None) or _Sender()
        self._senders[address] = sender
        if len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)
        return sender


def _check(address: str, arguments: tuple[object, ...]) -> tuple[str | None, tuple[float, ...]]:
    """Return what a message sets, None for the message that applies it."""
    if address == APPLY:
        return None, ()
    name, *numbers = arguments
    values = tuple(number for number in numbers if isinstance(number, float))
    if not all(map(isfinite, values)):
        raise BadMessageError(f"{address}: expected finite numbers, got others")
    if address == BONE and name in CHAIN:
        length = sqrt(sum(part * part for part in values[3:]))
        if not 0.9 < length < 1.1:
            raise BadMessageError(f"{address}: expected a unit quaternion, got length {length:.4g}")
    return str(name), values


def _set_value(sender: _Sender, name: str, value: float) -> None:
    """Set a coefficient by any of its names; others, such as of clothes, are left out."""
    if (arkit := arkit_name(name)) is not None:
        sender.arkit[arkit] = value
    elif (preset := preset_name(name)) is not None:
        sender.presets[preset] = value


def _to_server_axes(values: tuple[float, ...]) -> Quaternion:
    """Return a bone's rotation in our axes, of length 1."""
    x, y, z, w = values[3:]
    length = sqrt(x * x + y * y + z * z + w * w)
    return (x / length, -y / length, -z / length, w / length)


def _multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the rotation `b`, then `a`."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
