"""The names of ARKit's 52 blend shapes, and how to recognize other spellings of them."""

from __future__ import annotations

import re

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
"""Names in alphabetical order, which is also the order of coefficients in baked head files."""


NEUTRAL = "_neutral"
"""MediaPipe's name for the score of no expression, which is no coefficient of the face."""

_PREFIX = re.compile(r"^(?:(?:arkit|blendshapes?|bs)\d*|a\d\d)(?=[a-z])")
"""Prefixes of exporters without a dot, in lower case: `BlendShapes_JawOpen`, and the numbers of
Reallusion's characters: `A25_Jaw_Open`."""
_COPY = re.compile(r"\.\d{3}$")
"""Suffix that Blender appends to the name of a copy: `jawOpen.001`."""
_SEPARATOR = re.compile(r"[.:/|]")
_LONGEST, _MOST_PREFIXES = 200, 4
"""Maximum number of last characters of a name, and of prefixes, that are compared: names are
untrusted."""


def arkit_name(name: str) -> str | None:
    """Return the ARKit name that `name` is a spelling of, or None.

    Case, separators and prefixes do not matter, and `L` or `R` at the end means left or right:
    `EyeBlink_L`, `eyeBlink.L`, `blendShapes.eyeBlinkLeft` and `face.eye_blink_left` are
    `eyeBlinkLeft`.
    """
    name = _COPY.sub("", name[-_LONGEST:])
    ends = [found.end() for found in _SEPARATOR.finditer(name)]
    # The whole name first: in Blender a dot separates the side.
    for start in (0, *ends[-_MOST_PREFIXES:]):
        plain = "".join(letter for letter in name[start:] if letter.isalnum()).lower()
        for key in (plain, _PREFIX.sub("", plain)):
            if found_name := _BY_KEY.get(key):
                return found_name
    return None


def _keys(name: str) -> tuple[str, ...]:
    """Return the lower-case spellings of an ARKit name: with its side in full, and as a letter."""
    lower = name.lower()
    sides = [side for side in _SIDES if name.endswith(side)]
    return lower, *(lower.removesuffix(side.lower()) + side[0].lower() for side in sides)


_BY_KEY = {key: name for name in ARKIT_NAMES for key in _keys(name)}
