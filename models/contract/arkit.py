"""The 52 facial actions of ARKit, and how others spell them."""

from __future__ import annotations

_SIDES = ("Left", "Right")

ARKIT_NAMES = (
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *(
        f"eye{what}{side}"
        for what in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
        for side in _SIDES
    ),
    *("jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)
"""In alphabetical order, as our own heads have them."""


def arkit_name(name: str) -> str | None:
    """The action that `name` stands for, however it is spelt: `EyeBlink_L` is `eyeBlinkLeft`."""
    return _BY_KEY.get(_key(name))


def _key(name: str) -> str:
    plain = "".join(letter for letter in name.rsplit(".", 1)[-1] if letter.isalnum())
    if "_" in name and name[-2:] in ("_L", "_R", "_l", "_r"):
        plain = plain[:-1] + {"l": "left", "r": "right"}[plain[-1].lower()]
    return plain.lower()


_BY_KEY = {name.lower(): name for name in ARKIT_NAMES}
