"""Recipes: all data by which one baked person differs from another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Literal

from models.studio.appearance import Appearance

HairStyle = Literal["bun", "bob", "cropped"]
Neckline = Literal["rolled", "crew", "painted"]


@dataclass(frozen=True, slots=True)
class HairCut:
    """A hair style."""

    style: HairStyle
    """"bun": swept back from a side parting; "bob": cut at the jaw, with a fringe; "cropped": a few
    centimetres, short at the sides."""
    hairline_mm: tuple[float, ...] = (68, 67, 63, 54, 41, 24, 8, 6, 16, 10, -22, -55, -72)
    """Height of the hairline at `source.HAIRLINE_DEGREES` around the skull."""
    volume_mm: float = 14.0
    """How far the hair stands off the scalp on top."""
    sides_mm: float = 7.5
    """How far it stands off beside the ears."""
    strands: int = 9000
    """Long hairs, or curls: fewer than a person has (about 100 000), but wider ones."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One person."""

    title: str
    """Description of the person, for `--list`."""
    phenotype: Mapping[str, float]
    """Anny's parameters, 0..1: "gender" from male to female; the three origins sum to 1."""
    local_changes: Mapping[str, float]
    """Anny's local shape changes; "lr-..." sets both sides. Chosen by eye."""
    rest: Mapping[str, float]
    """Expressions that this person has at rest: they close the lips, with a slight smile."""
    hair: HairCut
    appearance: Appearance
    brow_fullness: float = 1.0
    """Hairs of the brows, relative to 400 each."""
    lash_mm: float = 8.0
    """Length of the longest upper lash."""
    neckline: Neckline = "rolled"
    """"painted": neck and torso are one surface without a collar, and colours alone show where
    clothes begin. For people whose neckline is not known."""
    collar_drop_mm: float = 0.0
    """How much lower the collar is than the rolled one."""
    mouth_shift_mm: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "upper-teeth": (0.0, -3.5, 2.0),
            "lower-teeth": (0.0, 0.5, -0.4),
            "tongue": (0.0, -2.5, 0.0),
        }
    )
    """Anny's teeth sit so far back and up that a smile shows none of them, and the tongue so high
    that it fills an open mouth."""

    def fingerprint(self) -> str:
        """Return a hex digest of all fields, which head files store to identify their recipe."""
        fields = asdict(self)
        # Digests of existing head files were made with this name of the field.
        fields["look"] = fields.pop("appearance")
        return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


RECIPES: Mapping[str, Recipe] = {
    "default": Recipe(
        title="a woman of about thirty, brown hair cut as a bob, grey-green eyes",
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
            # A leaner and narrower face than anny's, with larger eyes and smaller, closer ears.
            "lr-eye-scale-incr": 0.55,
            "lr-eye-corner2-up": 0.2,
            "lr-ear-wing-incr": -0.4,
            "lr-ear-lobe-incr": -0.6,
            "lr-ear-scale-incr": -0.45,
            "lr-ear-trans-up": 0.35,
            "lr-cheek-bones-incr": 0.15,
            "lr-cheek-inner-incr": -0.15,
            "head-scale-horiz-incr": -0.45,
            "head-fat-incr": -0.5,
            "chin-width-incr": -0.45,
            "chin-bones-incr": -0.4,
            "chin-height-incr": -0.25,
            "nose-scale-horiz-incr": -0.4,
            "nose-width2-incr": -0.3,
            "nose-point-width-incr": -0.3,
            "nose-scale-vert-incr": -0.2,
            "nose-point-up": 0.15,
            "mouth-scale-horiz-incr": 0.15,
            "mouth-upperlip-volume-incr": 0.2,
            "mouth-lowerlip-volume-incr": 0.2,
            "mouth-angles-up": 0.25,
            "neck-scale-horiz-incr": -0.3,
            "neck-scale-depth-incr": -0.15,
        },
        rest={
            "mouthClose": 0.08,
            "mouthSmileLeft": 0.20,
            "mouthSmileRight": 0.20,
            "eyeSquintLeft": 0.15,
            "eyeSquintRight": 0.15,
            "eyeBlinkLeft": 0.08,
            "eyeBlinkRight": 0.08,
        },
        hair=HairCut(
            "bob",
            hairline_mm=(62, 61, 58, 50, 39, 24, 8, 6, 16, 10, -22, -55, -72),
            volume_mm=17.0,
            sides_mm=10.0,
            strands=11000,
        ),
        appearance=Appearance(shine=0.75),
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
        local_changes={
            # High cheekbones, a broad and prominent chin, lines beside the mouth from laughing.
            "lr-ear-wing-incr": -0.3,
            "lr-ear-lobe-incr": -0.5,
            "lr-ear-scale-incr": -0.2,
            "lr-eye-scale-incr": 0.1,
            "lr-eye-eyefold-up": -0.15,
            "lr-eye-bag-incr": 0.25,
            "lr-eye-height2-incr": -0.1,
            "lr-cheek-bones-incr": 0.5,
            "lr-cheek-volume-incr": -0.35,
            "head-scale-horiz-incr": -0.15,
            "head-fat-incr": -0.3,
            "head-age-incr": 0.3,
            "head-angle-out": -0.2,
            "forehead-nubian-incr": -0.3,
            "chin-width-incr": 0.25,
            "chin-bones-incr": 0.35,
            "chin-prominent-incr": 0.3,
            "chin-cleft-incr": 0.2,
            "mouth-laugh-lines-out": 0.5,
            "mouth-angles-up": 0.45,
            "mouth-scale-horiz-incr": 0.1,
            "mouth-scale-vert-incr": -0.2,
            "nose-scale-vert-incr": 0.1,
            "nose-hump-incr": 0.25,
            "nose-width1-incr": 0.1,
            "nose-flaring-incr": 0.2,
            "neck-scale-horiz-incr": 0.2,
        },
        rest={
            "mouthClose": 0.05,
            "mouthSmileLeft": 0.32,
            "mouthSmileRight": 0.28,
            "eyeSquintLeft": 0.35,
            "eyeSquintRight": 0.35,
            "browDownLeft": 0.15,
            "browDownRight": 0.15,
        },
        hair=HairCut(
            "cropped",
            hairline_mm=(74, 73, 70, 66, 50, 28, 10, 4, 10, 6, -18, -45, -58),
            volume_mm=6.0,
            sides_mm=3.0,
            strands=17000,
        ),
        appearance=Appearance(
            skin=(0.170, 0.086, 0.056),
            blush=0.2,
            freckles=0.05,
            shine=0.65,
            beard=0.6,
            age=0.5,
            lips=(0.185, 0.082, 0.068),
            lip_gloss=0.2,
            brow=(0.010, 0.008, 0.007),
            hair_dark=(0.013, 0.012, 0.011),
            hair_light=(0.26, 0.255, 0.25),
            curl=1.0,
            brow_breadth=1.6,
            brow_arch=0.5,
            brow_height_mm=18.0,
            sclera=(0.35, 0.315, 0.275),
            lash=(0.006, 0.005, 0.004),
            iris=(0.042, 0.020, 0.010),
            iris_inner=(0.060, 0.026, 0.010),
            make_up=0.0,
            cloth=(0.24, 0.235, 0.22),
            backdrop=(0.028, 0.033, 0.040),
        ),
        mouth_shift_mm={
            "upper-teeth": (0.0, -4.2, 3.0),
            "lower-teeth": (0.0, 0.3, -0.4),
            "tongue": (0.0, 0.0, 2.0),
        },
        brow_fullness=1.7,
        lash_mm=6.0,
        neckline="crew",
        collar_drop_mm=14.0,
    ),
    "greta": Recipe(
        title="a woman of about seventy, grey hair in a bun, blue eyes",
        phenotype={
            "gender": 1.0,
            "age": 0.9,
            "muscle": 0.4,
            "weight": 0.52,
            "height": 0.5,
            "proportions": 0.75,
            "cupsize": 0.5,
            "firmness": 0.3,
            "african": 0.05,
            "asian": 0.05,
            "caucasian": 0.90,
        },
        local_changes={
            # The face of a woman, with bags under the eyes and lines of age.
            "lr-eye-scale-incr": 0.3,
            "lr-eye-bag-incr": 0.4,
            "lr-eye-eyefold-angle-up": -0.25,
            "lr-ear-wing-incr": -0.3,
            "lr-ear-scale-incr": -0.15,
            "lr-cheek-bones-incr": 0.3,
            "lr-cheek-volume-incr": -0.15,
            "head-age-incr": 0.4,
            "head-scale-horiz-incr": -0.45,
            "head-fat-incr": -0.35,
            "chin-width-incr": -0.5,
            "chin-bones-incr": -0.5,
            "nose-scale-horiz-incr": -0.4,
            "nose-scale-vert-incr": 0.0,
            "nose-hump-incr": 0.05,
            "mouth-laugh-lines-out": 0.4,
            "mouth-scale-horiz-incr": 0.1,
            "mouth-upperlip-volume-incr": 0.05,
            "mouth-lowerlip-volume-incr": 0.1,
            "mouth-angles-up": 0.3,
            "neck-scale-horiz-incr": -0.2,
        },
        rest={
            "mouthClose": 0.08,
            "mouthSmileLeft": 0.28,
            "mouthSmileRight": 0.28,
            "eyeSquintLeft": 0.2,
            "eyeSquintRight": 0.2,
        },
        hair=HairCut(
            "bun",
            hairline_mm=(72, 69, 62, 53, 42, 29, 14, 8, 16, 10, -22, -55, -72),
            volume_mm=17.0,
            sides_mm=9.0,
            strands=11000,
        ),
        appearance=Appearance(
            skin=(0.56, 0.345, 0.265),
            blush=0.55,
            freckles=0.1,
            shine=0.55,
            age=0.7,
            lips=(0.40, 0.165, 0.15),
            lip_gloss=0.35,
            brow=(0.13, 0.115, 0.10),
            brow_breadth=1.15,
            brow_arch=0.7,
            hair_dark=(0.24, 0.23, 0.22),
            hair_light=(0.56, 0.55, 0.53),
            lash=(0.03, 0.025, 0.022),
            sclera=(0.40, 0.365, 0.335),
            iris=(0.085, 0.135, 0.19),
            iris_inner=(0.14, 0.125, 0.085),
            make_up=0.15,
            cloth=(0.20, 0.045, 0.060),
            backdrop=(0.020, 0.018, 0.017),
        ),
        lash_mm=6.5,
        mouth_shift_mm={
            "upper-teeth": (0.0, -5.5, 3.0),
            "lower-teeth": (0.0, 0.3, -0.4),
            "tongue": (0.0, -2.5, 0.0),
        },
    ),
}
