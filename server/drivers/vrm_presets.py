"""The preset expressions of VRM 0 and 1.0 in ARKit's coefficients.

VRM defines the looks of presets per model, so this table is a choice: a clear but natural
expression at the value 1. Senders of all 52 names of ARKit ("Perfect Sync") do not need it.
"""

from __future__ import annotations

from collections.abc import Mapping

_SIDES = ("Left", "Right")


def _both(**amounts: float) -> dict[str, float]:
    """Return the coefficients of both sides."""
    return {f"{name}{side}": amount for name, amount in amounts.items() for side in _SIDES}


PRESETS: dict[str, dict[str, float]] = {
    "neutral": {},
    "aa": {"jawOpen": 0.6},
    "ih": {"jawOpen": 0.15, **_both(mouthStretch=0.5)},
    "ou": {"jawOpen": 0.1, "mouthPucker": 0.7, "mouthFunnel": 0.4},
    "ee": {"jawOpen": 0.25, **_both(mouthStretch=0.4, mouthSmile=0.2)},
    "oh": {"jawOpen": 0.4, "mouthFunnel": 0.7},
    "blink": _both(eyeBlink=1.0),
    "blinkLeft": {"eyeBlinkLeft": 1.0},
    "blinkRight": {"eyeBlinkRight": 1.0},
    "happy": _both(mouthSmile=0.8, cheekSquint=0.5, eyeSquint=0.3),
    "relaxed": _both(mouthSmile=0.4, eyeSquint=0.3),
    "angry": _both(browDown=0.8, noseSneer=0.4, mouthPress=0.3),
    "sad": {"browInnerUp": 0.8, **_both(mouthFrown=0.6)},
    "surprised": {"browInnerUp": 0.7, "jawOpen": 0.3, **_both(browOuterUp=0.8, eyeWide=0.8)},
    "lookUp": _both(eyeLookUp=1.0),
    "lookDown": _both(eyeLookDown=1.0),
    "lookLeft": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "lookRight": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
}
"""The 18 presets of VRM 1.0; left and right are those of the model."""
VRM_0 = {
    **{"a": "aa", "i": "ih", "u": "ou", "e": "ee", "o": "oh"},
    **{"joy": "happy", "fun": "relaxed", "sorrow": "sad"},
    **{"blink_l": "blinkLeft", "blink_r": "blinkRight"},
}
"""The presets of VRM 0 that have another name in 1.0."""
_BY_KEY = {name.lower(): name for name in PRESETS} | VRM_0


def preset_name(name: str) -> str | None:
    """Return the preset of VRM 1.0 with a name of either version, in any case; None for none."""
    return _BY_KEY.get(name.lower())


def preset_coefficients(values: Mapping[str, float]) -> dict[str, float]:
    """Return ARKit's coefficients of presets that are shown together, their sum.

    Args:
        values: How strongly each is shown, usually 0..1, by preset of VRM 1.0.
    """
    total: dict[str, float] = {}
    for name, value in values.items():
        for coefficient, amount in PRESETS[name].items():
            total[coefficient] = total.get(coefficient, 0.0) + value * amount
    return total
