"""Packets of trackers, built byte by byte from documented layouts."""

from __future__ import annotations

import struct
from collections.abc import Mapping

UNREAL_ORDER = (
    *("EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft"),
    *("EyeSquintLeft", "EyeWideLeft", "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight"),
    *("EyeLookOutRight", "EyeLookUpRight", "EyeSquintRight", "EyeWideRight", "JawForward"),
    *("JawLeft", "JawRight", "JawOpen", "MouthClose", "MouthFunnel", "MouthPucker"),
    *("MouthLeft", "MouthRight", "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft"),
    *("MouthFrownRight", "MouthDimpleLeft", "MouthDimpleRight", "MouthStretchLeft"),
    *("MouthStretchRight", "MouthRollLower", "MouthRollUpper", "MouthShrugLower"),
    *("MouthShrugUpper", "MouthPressLeft", "MouthPressRight", "MouthLowerDownLeft"),
    *("MouthLowerDownRight", "MouthUpperUpLeft", "MouthUpperUpRight", "BrowDownLeft"),
    *("BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff"),
    *("CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight", "TongueOut"),
    *("HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll"),
    *("RightEyeYaw", "RightEyePitch", "RightEyeRoll"),
)
"""Order of Unreal's `EARFaceBlendShape`."""
DEVICE = "0D3C9F62-5C4C-4B9C-8E5E-0123456789AB"


def live_link(
    values: Mapping[str, float] | None,
    subject: str = "iPhone",
    *,
    frame: int = 3_000_000,
    subframe: float = 0.25,
    device: str = DEVICE,
    rate: tuple[int, int] = (60, 1),
) -> bytes:
    """Return a Live Link Face packet; `values` is None if no face is tracked."""
    head = bytes([6])
    for text in (device.encode(), subject.encode()):
        head += len(text).to_bytes(4, "big") + text
    head += struct.pack(">ifii", frame, subframe, *rate)
    if values is None:
        return head
    return head + bytes([61]) + struct.pack(">61f", *(values.get(n, 0.0) for n in UNREAL_ORDER))


def metahuman(subject: str = "iPhone", controls: int = 130) -> bytes:
    """Return a packet of the app's MetaHuman mode."""
    text = subject.encode()
    return (
        struct.pack("<HH", 1, len(text))
        + text
        + struct.pack("<ifii", 100, 0.0, 60, 1)
        + struct.pack(f"<H{controls}H6f", controls, *[500] * controls, *[0.0] * 6)
    )


def osc(address: str, *arguments: str | float) -> bytes:
    """Return an OSC message."""

    def text(value: str) -> bytes:
        raw = value.encode() + b"\0"
        return raw + b"\0" * (-len(raw) % 4)

    tags = "".join("s" if isinstance(value, str) else "f" for value in arguments)
    values = (text(v) if isinstance(v, str) else struct.pack(">f", v) for v in arguments)
    return text(address) + text("," + tags) + b"".join(values)


def bundle(*elements: bytes) -> bytes:
    """Return an OSC bundle that applies at once."""
    sized = (len(element).to_bytes(4, "big") + element for element in elements)
    return b"#bundle\0" + (1).to_bytes(8, "big") + b"".join(sized)


def blend(name: str, value: float) -> bytes:
    """Return a VMC message that sets a coefficient."""
    return osc("/VMC/Ext/Blend/Val", name, value)


APPLY = osc("/VMC/Ext/Blend/Apply")


def bone(name: str, *rotation: float) -> bytes:
    """Return a VMC message that turns a bone; `rotation` is Unity's x, y, z, w."""
    return osc("/VMC/Ext/Bone/Pos", name, 0.0, 0.1, 0.0, *rotation)
