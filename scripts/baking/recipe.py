"""Recipes: everything that makes one person differ from another, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from models.training.look import Look

HairStyle = Literal["bun", "cropped"]
Neckline = Literal["rolled", "crew"]


@dataclass(frozen=True, slots=True)
class HairCut:
    """How the hair is worn."""

    style: HairStyle
    """"bun": swept back from a side parting; "cropped": a few centimetres, short at the sides."""
    hairline_mm: tuple[float, ...] = (68, 67, 63, 54, 41, 24, 8, 6, 16, 10, -22, -55, -72)
    """Height of the hairline at `source.HAIRLINE_DEGREES` around the skull."""
    volume_mm: float = 14.0
    """How far the hair stands off the scalp on top."""
    sides_mm: float = 7.5
    strands: int = 9000


@dataclass(frozen=True, slots=True)
class Recipe:
    """One person."""

    title: str
    """Who this is, for `--list`."""
    phenotype: Mapping[str, float]
    """Anny's parameters, 0..1."""
    local_changes: Mapping[str, float]
    """Anny's local shape changes; "lr-..." sets both sides."""
    rest: Mapping[str, float]
    """Expressions that this person has at rest."""
    hair: HairCut
    look: Look
    brow_lift_mm: float = 0.0
    brow_fullness: float = 1.0
    lash_mm: float = 8.0
    neckline: Neckline = "rolled"
    mouth_shift_mm: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "upper-teeth": (0.0, -3.5, 2.0),
            "lower-teeth": (0.0, 0.5, -0.4),
            "tongue": (0.0, -2.5, 0.0),
        }
    )
    """Anny's teeth sit so far back and up that a smile shows none of them, and the tongue so high
    that it fills an open mouth."""


RECIPES: Mapping[str, Recipe] = {
    "default": Recipe(
        title="a woman of about thirty, brown hair in a bun, grey-green eyes",
        phenotype={
            "gender": 1.0,
            "age": 0.58,
            "muscle": 0.5,
            "weight": 0.5,
            "height": 0.55,
            "proportions": 0.95,
            "cupsize": 0.4,
            "firmness": 0.6,
            "african": 0.12,
            "asian": 0.14,
            "caucasian": 0.74,
        },
        local_changes={
            "lr-eye-scale-incr": 0.3,
            "lr-eye-corner2-up": 0.2,
            "lr-ear-wing-incr": -0.4,
            "lr-cheek-bones-incr": 0.15,
            "lr-cheek-inner-incr": -0.15,
            "head-scale-horiz-incr": -0.3,
            "head-fat-incr": -0.35,
            "chin-width-incr": -0.45,
            "chin-bones-incr": -0.4,
            "nose-scale-horiz-incr": -0.4,
            "nose-width2-incr": -0.3,
            "nose-point-width-incr": -0.3,
            "nose-scale-vert-incr": -0.2,
            "nose-point-up": 0.15,
            "mouth-scale-horiz-incr": -0.05,
            "mouth-upperlip-volume-incr": 0.2,
            "mouth-lowerlip-volume-incr": 0.2,
            "mouth-angles-up": 0.25,
            "neck-scale-horiz-incr": -0.3,
            "neck-scale-depth-incr": -0.15,
        },
        rest={
            "mouthClose": 0.08,
            "mouthSmileLeft": 0.15,
            "mouthSmileRight": 0.15,
            "eyeSquintLeft": 0.15,
            "eyeSquintRight": 0.15,
        },
        hair=HairCut("bun", strands=11000),
        look=Look(),
    ),
    "marcus": Recipe(
        title="a man of about forty-five, dark skin, cropped greying hair, brown eyes",
        phenotype={
            "gender": 0.05,
            "age": 0.66,
            "muscle": 0.62,
            "weight": 0.55,
            "height": 0.6,
            "proportions": 0.85,
            "cupsize": 0.5,
            "firmness": 0.5,
            "african": 0.85,
            "asian": 0.05,
            "caucasian": 0.10,
        },
        local_changes={"lr-ear-wing-incr": -0.3, "chin-width-incr": 0.1},
        rest={"mouthClose": 0.05, "mouthSmileLeft": 0.12, "mouthSmileRight": 0.12},
        hair=HairCut("cropped", volume_mm=6.0, sides_mm=3.5, strands=14000),
        look=Look(
            skin=(0.165, 0.075, 0.042),
            blush=0.25,
            freckles=0.05,
            stubble=0.5,
            age=0.5,
            lips=(0.20, 0.082, 0.065),
            brow=(0.010, 0.008, 0.007),
            hair_dark=(0.008, 0.0075, 0.007),
            hair_light=(0.10, 0.098, 0.095),
            lash=(0.006, 0.005, 0.004),
            iris=(0.042, 0.020, 0.010),
            iris_inner=(0.060, 0.026, 0.010),
            make_up=0.0,
            cloth=(0.24, 0.235, 0.22),
            backdrop=(0.028, 0.033, 0.040),
        ),
        brow_fullness=1.2,
        lash_mm=6.0,
        neckline="crew",
    ),
}
