"""The appearance of a person: colours, and strengths of the features of skin, hair and clothes.

Recipes define it, `scripts/bake_head.py` stores it in the head file (as `look`), and the studio
paints with it. It does not describe shapes. Colours are linear RGB, not sRGB.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from models.geometry.head import HeadError
from models.geometry.npz import read_npz

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Appearance:
    """Colours are linear RGB; amounts are 0 (none) to 1 (strong)."""

    skin: Rgb = (0.55, 0.325, 0.24)
    """Colour of the cheek, without shading."""
    blush: float = 0.6
    """How much cheeks, nose and ears redden."""
    freckles: float = 0.3
    shine: float = 1.0
    """Strength of the skin's highlights."""
    beard: float = 0.0
    """How much of a full beard grows: stubble at 0.3, short at 1."""
    age: float = 0.2
    """How much lines and uneven colour show."""
    lips: Rgb = (0.47, 0.185, 0.165)
    lip_gloss: float = 0.7
    brow: Rgb = (0.035, 0.021, 0.014)
    brow_breadth: float = 1.2
    brow_arch: float = 0.85
    """0 is level."""
    brow_height_mm: float = 20.6
    """Height of the middle of the brows above that of the eyes."""
    hair_dark: Rgb = (0.016, 0.0095, 0.006)
    hair_light: Rgb = (0.085, 0.048, 0.026)
    """Colour of the lightest strands."""
    curl: float = 0.0
    """0: hair lies in combed strands; 1: in tight curls."""
    lash: Rgb = (0.012, 0.008, 0.006)
    sclera: Rgb = (0.42, 0.39, 0.37)
    iris: Rgb = (0.105, 0.130, 0.098)
    iris_inner: Rgb = (0.165, 0.088, 0.030)
    """Colour of the ring around the pupil."""
    make_up: float = 0.3
    """Make-up of lash line and eyelids."""
    cloth: Rgb = (0.050, 0.098, 0.122)
    backdrop: Rgb = (0.0115, 0.0120, 0.0135)
    """The studio's wall behind the head, where it is lit."""
    key_light: Rgb = (1.95, 1.77, 1.55)
    """Colour of the key light, from the upper right of the image."""

    def to_json(self) -> str:
        """One JSON object; `appearance_from_json` reads it."""
        return json.dumps(asdict(self))


def appearance_from_json(text: str) -> Appearance:
    """Read an appearance; fields that are missing keep their defaults.

    Raises:
        ValueError: If the text is not JSON, has an unknown field, or a value of the wrong form.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"an appearance must be a JSON object, got {type(values).__name__}")
    known = {field.name: field.default for field in fields(Appearance)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"an appearance has no {', '.join(unknown)}; it has {', '.join(known)}")
    return Appearance(
        **{name: _checked(name, known[name], value) for name, value in values.items()}
    )


def _checked(name: str, default: Any, value: Any) -> Any:
    """Return the value in the form of the field `name`: three numbers for a colour, else one."""
    expected = np.shape(default)
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.full(1, np.nan)
    if array.shape != expected or not np.isfinite(array).all() or (array < 0).any():
        kind = "three numbers" if expected else "a number"
        raise ValueError(f"{name} must be {kind} of at least 0, got {value!r}")
    return tuple(array.tolist()) if expected else float(array)


def load_appearance(head_file: Path) -> Appearance:
    """Load the appearance of a head file; the default one if it has none.

    Raises:
        HeadError: If the file is unreadable, or its appearance is invalid.
    """
    try:
        arrays = read_npz(head_file, ("look",))
        return appearance_from_json(str(arrays["look"])) if "look" in arrays else Appearance()
    except (OSError, ValueError) as exc:
        raise HeadError(f"{head_file} holds no readable appearance: {exc}") from exc
