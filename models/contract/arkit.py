"""The names of ARKit's 52 blend shapes, and how to recognize other spellings of them."""

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
"""In alphabetical order, which is also the order of coefficients in baked head files."""


def arkit_name(name: str) -> str | None:
    """Return the ARKit name that `name` is a spelling of, or None.

    Case, separators and prefixes up to the last dot do not matter, and `_L` or `_R` at the end
    means left or right: `EyeBlink_L` and `face.eye_blink_left` are `eyeBlinkLeft`.
    """
    return _BY_KEY.get(_key(name))


def _key(name: str) -> str:
    """Reduce a name to lower-case letters and digits, with the side written out."""
    plain = "".join(letter for letter in name.rsplit(".", 1)[-1] if letter.isalnum())
    if "_" in name and name[-2:] in ("_L", "_R", "_l", "_r"):
        plain = plain[:-1] + {"l": "left", "r": "right"}[plain[-1].lower()]
    return plain.lower()


_BY_KEY = {name.lower(): name for name in ARKIT_NAMES}
