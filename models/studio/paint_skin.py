"""Paints skin: blood, freckles and pores, eyelids, lips, brows, and where the hair begins.

Positions are metres on the neutral head, origin between the eyes; x is mirrored to both sides
unless said otherwise. Frequencies are noise cells per metre. Positions, colours and amounts are
chosen by eye, on renders of the two shipped heads (MakeHuman's base mesh) at 384x384.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats, smoothstep, vector
from models.studio.facial_hair import (
    BROW_LENGTH_M,
    BROW_START_M,
    bearded,
    brow_height,
    brow_width,
)
from models.studio.noise import fractal_noise, noise_gradient
from models.studio.paint_hair import hair_noise

_USUAL_BLUSH, _USUAL_FRECKLES = 0.6, 0.3
"""Defaults of `Appearance`, at which the amounts below were chosen."""

_BLOOD = (
    # x, y, z, radius, amount
    (0.041, -0.034, 0.022, 0.017, 0.45),  # cheeks
    (0.046, -0.024, 0.012, 0.020, 0.18),  # cheekbones
    (0.0, -0.036, 0.048, 0.009, 0.50),  # tip of the nose
    (0.014, -0.038, 0.036, 0.006, 0.55),  # wings of the nose
    (0.0, -0.098, 0.024, 0.013, 0.35),  # chin
    (0.030, 0.008, 0.016, 0.010, 0.10),  # upper eyelids
    (0.0, -0.056, 0.040, 0.007, 0.25),  # upper lip
)
_NECK_Y_M = (-0.10, -0.15)
"""Heights at which the colour of the neck begins and is full."""
_FRECKLE_NOISE = ((420, 0.60), (680, 0.45))
"""Frequency and strength of larger and smaller freckles."""
_MOLES = ((0.034, -0.052), (-0.047, -0.016), (-0.012, -0.088), (0.021, 0.052))
"""x (not mirrored) and y."""
_MOLE_RADII_M = (0.0011, 0.0006)

_BROW_X_M, _BROW_Y_M, _BROW_MIN_Z_M = (0.006, 0.058), (0.004, 0.038), -0.01
"""Bounds of the brows of any appearance, to skip all other texels."""
_BROW_INNER_END, _BROW_OUTER_END = (-0.02, 0.10), (1.03, 0.9)
"""Where a brow fades at its ends, as shares of its length."""
_BROW_DENSE_START, _BROW_DENSE_LENGTH = 0.12, 0.35
"""Over this share of its length a brow becomes dense, starting so far before its inner end."""
_BROW_FALLOFF = 1.4
"""Falloff of the Gaussian across a brow, in half widths."""
_BROW_SHADE = 0.42
"""Opacity of the shade on the skin; the hairs above it are strands."""
_BROW_ROUGHNESS, _BROW_MATT = 0.6, 0.6


def paint_skin(brush: Brush, eyes: Floats, radius: float, appearance: Appearance) -> None:
    """Paint face, ears and neck.

    Args:
        brush: The skin's texels.
        eyes: (2, 3) middles of the eyeballs.
        radius: Radius of the eyeballs, metres.
        appearance: Colours and features of the person.
    """
    brush.colour[:] = appearance.skin
    _blush(brush, appearance)
    _mottle(brush, appearance)
    _pores(brush, appearance)
    _paint_beard(brush, appearance)
    _paint_lids(brush, eyes, radius, appearance)
    _paint_lips(brush, appearance)
    _paint_brows(brush, appearance)
    _paint_hairline(brush, appearance)
    _thin_out(brush)


def _blush(brush: Brush, appearance: Appearance) -> None:
    """Redden cheeks, nose, chin and ears, where blood shows; forehead and jaw are paler."""
    blood = appearance.blush / _USUAL_BLUSH
    for x, y, z, radius, amount in _BLOOD:
        brush.tint((1.03, 0.76, 0.73), blood * amount * brush.near(x, y, z, radius))
    brush.tint((1.0, 0.82, 0.79), blood * brush.masks["ears"])
    # Paler and yellower where bone lies close.
    brush.tint((1.03, 1.05, 0.97), 0.8 * brush.near(0.0, 0.05, 0.03, 0.028))
    brush.tint((1.03, 1.03, 0.97), 0.5 * brush.near(0.0, -0.005, 0.035, 0.010))
    # Thin, bluish skin under the eyes, and violet towards the nose.
    under = brush.near(0.030, -0.0175, 0.018, 0.0075)
    brush.tint((0.86, 0.83, 0.89), (0.28 + 0.5 * appearance.age) * under)
    brush.tint((0.88, 0.80, 0.84), 0.5 * brush.near(0.0165, -0.008, 0.018, 0.0055))
    # Cooler around the mouth and on the jaw, warmer on the neck.
    brush.tint((0.95, 0.98, 0.98), 0.6 * brush.near(0.026, -0.085, 0.022, 0.016))
    brush.tint((0.96, 0.89, 0.87), smoothstep(*_NECK_Y_M, brush.position[:, 1]))


def _mottle(brush: Brush, appearance: Appearance) -> None:
    """Vary the colour at several scales; add freckles and a few moles."""
    blood = 0.25 + 0.75 * appearance.blush / _USUAL_BLUSH
    uneven = (0.7 + 1.2 * appearance.age) * blood
    brush.tint((1.07, 0.94, 0.90), uneven * brush.noise(38, 3))
    brush.tint((1.06, 0.95, 0.93), 1.7 * uneven * brush.noise(170, 3))
    brush.tint((0.94, 0.97, 1.0), 1.2 * uneven * brush.noise(310, 2))
    brush.tint((1.05, 0.99, 0.98), 1.1 * blood * brush.noise(900, 2))
    freckled = appearance.freckles / _USUAL_FRECKLES
    where = brush.near(0.022, -0.024, 0.034, 0.016) + 0.6 * brush.near(0.04, -0.03, 0.02, 0.02)
    where = np.clip(where + 0.18 * smoothstep(-0.06, 0.03, brush.position[:, 1]), 0, 1)
    clusters = smoothstep(-0.2, 0.5, brush.noise(60, 2))
    for frequency, strength in _FRECKLE_NOISE:
        spots = smoothstep(0.46, 0.8, brush.noise(frequency, 1)) * clusters
        brush.tint((0.82, 0.68, 0.58), np.clip(strength * freckled * spots * where, 0, 1.4))
    for x, y in _MOLES:
        offset = np.hypot(brush.position[:, 0] - x, brush.position[:, 1] - y)
        mole = smoothstep(*_MOLE_RADII_M, offset) * (brush.position[:, 2] > -0.02)
        brush.tint((0.52, 0.40, 0.34), 0.75 * mole)


def _pores(brush: Brush, appearance: Appearance) -> None:
    """Add relief and gloss: oily, with open pores, on nose and forehead; finer on the cheeks."""
    oily = np.clip(
        brush.near(0.0, -0.026, 0.048, 0.0125)
        + 0.5 * brush.near(0.0, 0.045, 0.03, 0.026)
        + 0.5 * brush.near(0.0, -0.098, 0.026, 0.010)
        + 0.10 * brush.near(0.036, -0.020, 0.024, 0.011),
        0,
        1,
    )
    open_pores = smoothstep(0.15, 0.75, brush.noise(1050, 1))
    brush.tint((0.90, 0.86, 0.84), 0.6 * open_pores * (0.35 + 0.65 * oily))
    brush.bump(1350, 1, 0.09 + 0.07 * oily)
    brush.bump(2100, 1, 0.08)
    # The fine furrows of skin have a direction, which stretched noise gives them.
    stretched = brush.position * vector(1.0, 1.7, 1.0)
    brush.relief -= noise_gradient(stretched, 760, 2) * np.float32(0.045)
    brush.bump(150, 2, 0.022)
    brush.roughness[:] = 0.49 - 0.13 * oily + 0.06 * brush.noise(600, 2) + 0.07 * open_pores
    brush.roughness += 0.12 * (1 - appearance.shine)
    brush.specular[:] = appearance.shine * (1.05 + 0.45 * oily) * (1 - 0.45 * open_pores)
    lower = smoothstep(-0.11, -0.15, brush.position[:, 1])
    brush.specular *= 1 - 0.35 * lower
    # Under the eyes the skin is thin and matt: without this it would look swollen.
    brush.specular *= 1 - 0.45 * brush.near(0.031, -0.019, 0.02, 0.009)


def _paint_beard(brush: Brush, appearance: Appearance) -> None:
    """Paint the shade of a beard's roots, in dots, under the hairs that are strands."""
    if appearance.beard <= 0:
        return
    where = bearded(brush.position, brush.masks["lips"])
    dots = smoothstep(-0.2, 0.7, brush.noise(1500, 1))
    red, green, blue = 0.25 * np.array(appearance.skin) + 0.6 * np.array(appearance.hair_dark)
    amount = where * min(appearance.beard, 1.0)
    brush.mix((red, green, blue), amount * (0.45 + 0.35 * dots))
    brush.specular *= 1 - 0.6 * amount


def _thin_out(brush: Brush) -> None:
    """Mark where light comes through from behind: ears, and a little the wings of the nose."""
    brush.thinness[:] = np.clip(
        0.4 * brush.masks["ears"] + 0.2 * brush.near(0.0155, -0.040, 0.034, 0.005), 0, 1
    )


def _paint_lids(brush: Brush, eyes: Floats, radius: float, appearance: Appearance) -> None:
    """Paint eyelids: a little darker and redder, a dark lash line above, a moist rim."""
    lids = brush.masks["eyelids"]
    brush.tint((0.88, 0.84, 0.85), (0.45 + 0.6 * appearance.make_up) * lids)
    brush.specular *= 1 + 0.35 * lids
    side = (brush.position[:, 0] < 0).astype(np.int64)  # eyes[0] is the left one, at +X
    offset = brush.position - eyes[side]
    gap = np.linalg.norm(offset, axis=1) - radius
    front = smoothstep(0.0, 0.006, offset[:, 2]) * (np.abs(offset[:, 1]) < 0.012)
    rim = smoothstep(0.0024, 0.0008, gap) * front
    upper = smoothstep(-0.0015, 0.0015, offset[:, 1])
    red, green, blue = 0.6 * np.array(appearance.skin) + (0.107, 0.054, 0.046)
    brush.mix((red, green, blue), 0.6 * rim * (1 - upper))
    brush.gloss(0.20, rim)
    brush.specular += 0.7 * rim * (1 - upper)
    lash_line = smoothstep(0.0038, 0.0021, gap) * front
    outer = smoothstep(-0.012, 0.010, _outwards(brush, eyes, side))
    line = 0.62 + 0.5 * appearance.make_up
    brush.mix(appearance.lash, line * lash_line * upper * (0.55 + 0.4 * outer))
    brush.mix(
        (0.12, 0.06, 0.05),
        0.45 * lash_line * (1 - upper) * outer * smoothstep(0.0016, 0.0030, gap),
    )


def _outwards(brush: Brush, eyes: Floats, side: NDArray[np.int64]) -> Floats:
    """Return (N,) the distance outwards from the middle of the nearer eye, in metres."""
    result: Floats = np.abs(brush.position[:, 0]) - np.abs(eyes[side, 0])
    return result


def _paint_lips(brush: Brush, appearance: Appearance) -> None:
    """Paint lips: creased, glossy, darker towards the line between them."""
    lips = smoothstep(0.20, 0.85, brush.masks["lips"])
    brush.mix(appearance.lips, 0.85 * lips)
    brush.tint((1.05, 0.93, 0.91), 1.2 * lips * brush.noise(320, 2))
    stretched = brush.position * vector(1.0, 0.20, 0.20)
    wrinkles = fractal_noise(stretched, 820, 2)
    brush.tint((0.80, 0.68, 0.68), 0.8 * lips * smoothstep(-0.05, 0.6, wrinkles))
    brush.relief *= (1 - 0.6 * lips)[:, None]
    brush.relief -= noise_gradient(stretched, 820, 2) * (0.30 * lips)[:, None]
    brush.gloss(0.44 - 0.16 * appearance.lip_gloss, lips)
    brush.roughness += 0.06 * lips * wrinkles
    brush.specular += lips * (0.5 + appearance.lip_gloss - brush.specular)
    # The edge of the red catches a pale line of light.
    edge = smoothstep(0.02, 0.14, brush.masks["lips"]) * smoothstep(0.38, 0.18, brush.masks["lips"])
    brush.tint((1.03, 1.04, 1.04), 0.5 * edge)


def _paint_brows(brush: Brush, appearance: Appearance) -> None:
    """Paint a soft shade beneath the hairs of the brows."""
    x, y = np.abs(brush.position[:, 0]), brush.position[:, 1]
    box = (x > _BROW_X_M[0]) & (x < _BROW_X_M[1]) & (y > _BROW_Y_M[0]) & (y < _BROW_Y_M[1])
    box &= brush.position[:, 2] > _BROW_MIN_Z_M
    chosen = np.nonzero(box)[0]
    along = (x[chosen] - BROW_START_M) / BROW_LENGTH_M
    across = (y[chosen] - brow_height(along, appearance)) / brow_width(along, appearance)
    ends = smoothstep(*_BROW_INNER_END, along) * smoothstep(*_BROW_OUTER_END, along)
    dense = smoothstep(0.0, _BROW_DENSE_LENGTH, along + _BROW_DENSE_START)
    shade = np.exp(-(across**2) * _BROW_FALLOFF) * ends * dense
    amount = np.zeros(len(brush.position), np.float32)
    amount[chosen] = np.clip(_BROW_SHADE * shade, 0, 0.9)
    brush.mix(appearance.brow, amount)
    brush.gloss(_BROW_ROUGHNESS, amount)
    brush.specular *= 1 - _BROW_MATT * amount


def _paint_hairline(brush: Brush, appearance: Appearance) -> None:
    """Paint fine hairs along the hairline, so that the hair grows out of the skin."""
    rise = brush.masks["hair"]
    strands = hair_noise(brush.position, 120, 0.6, appearance.curl)
    reach = rise + 0.005 * strands * (1 - 0.6 * appearance.curl) + 0.003 * brush.noise(120, 2)
    outside = 1 - smoothstep(0.4, 0.8, brush.masks["ears"])
    fine = smoothstep(-0.0065, 0.002, reach) * (0.55 + 0.45 * smoothstep(-0.3, 0.4, strands))
    brush.mix(appearance.hair_dark, 0.96 * np.maximum(fine, smoothstep(0.0, 0.003, rise)) * outside)
    brush.mix(appearance.hair_dark, 0.22 * smoothstep(-0.016, -0.002, rise) * outside)
    # Between the hairs skin lies in their shade: highlights there would look like baldness.
    brush.specular *= 1 - 0.95 * smoothstep(-0.004, 0.003, rise) * outside
    brush.specular *= 1 - 0.9 * np.maximum(fine, smoothstep(-0.012, 0.0, rise)) * outside
