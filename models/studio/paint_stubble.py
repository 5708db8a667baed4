"""Paints what hairs leave on the skin they grow from: roots of a beard, shade of brows, a hairline.

The hairs themselves are strands, drawn over the skin. Distances are metres on the neutral head;
they and all amounts are chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.studio.appearance import Appearance
from models.studio.brush import Brush, Grain
from models.studio.facial_hair import (
    BROW_LENGTH_M,
    BROW_START_M,
    bearded,
    brow_height,
    brow_width,
)
from models.studio.paint_hair import Strandwise, hair_noise

_ROOTS, _ROOT_RANGE = Grain(1500, 1), (-0.2, 0.7)
"""Roots of a beard are dots, under 1 mm apart: noise, and its values between dots and on them."""
_ROOT_SKIN, _ROOT_HAIR = 0.25, 0.6
"""Shares of the colours of skin and hair in a root, which is seen through skin."""
_BEARD_SHADE, _BEARD_DOTS = 0.45, 0.35
"""Opacity between roots, and how much more on them."""
_BEARD_MATT = 0.6

_BROW_X_M, _BROW_Y_M, _BROW_MIN_Z_M = (0.006, 0.058), (0.004, 0.038), -0.01
"""Bounds of the brows of any appearance, to skip all other texels."""
_BROW_INNER_END, _BROW_OUTER_END = (-0.02, 0.10), (1.03, 0.9)
"""Where a brow fades at its ends, as shares of its length."""
_BROW_DENSE_START, _BROW_DENSE_LENGTH = 0.12, 0.35
"""Over this share of its length a brow becomes dense, starting so far before its inner end."""
_BROW_FALLOFF = 1.4
"""Falloff of the Gaussian across a brow, in half widths."""
_BROW_SHADE, _MAX_BROW_SHADE = 0.42, 0.9
"""Opacity of the shade on the skin; the hairs above it are strands."""
_BROW_ROUGHNESS, _BROW_MATT = 0.6, 0.6

_HAIRLINE = Strandwise(cells_per_rad=120, along=0.6)
_COMBED_REACH_M, _CURLED_LESS = 0.005, 0.6
"""How far hairs vary the height of the hairline, and the share of that which curls take away."""
_UNEVEN_REACH, _UNEVEN_REACH_M = Grain(120, 2), 0.003
_EAR_RANGE = (0.4, 0.8)
"""Values of the mask "ears" between which the paint of the hairline ends."""
_FINE_REACH_M = (-0.0065, 0.002)
"""Heights above the hairline at which fine hairs begin, and are dense."""
_FINE_GAPS, _FINE_HAIRS, _FINE_RANGE = 0.55, 0.45, (-0.3, 0.4)
"""Opacity between fine hairs, how much more on them, and the values of the noise there."""
_DENSE_RISE_M, _DENSE_AMOUNT = (0.0, 0.003), 0.96
"""Heights above the hairline between which the ground of the hair closes, and its opacity."""
_SHADE_RISE_M, _SHADE_AMOUNT = (-0.016, -0.002), 0.22
"""The hair's soft shade on the forehead."""
_SCALP_RISE_M, _SCALP_MATT = (-0.004, 0.003), 0.95
_FINE_MATT_RISE_M, _FINE_MATT = (-0.012, 0.0), 0.9
"""Between the hairs skin lies in their shade: highlights there would look like baldness."""


def paint_beard(brush: Brush, appearance: Appearance) -> None:
    """Paint the shade of a beard's roots, in dots, under the hairs that are strands."""
    if appearance.beard <= 0:
        return
    where = bearded(brush.position, brush.masks["lips"])
    dots = smoothstep(*_ROOT_RANGE, brush.noise(_ROOTS))
    skin, hair = np.array(appearance.skin), np.array(appearance.hair_dark)
    red, green, blue = _ROOT_SKIN * skin + _ROOT_HAIR * hair
    amount = where * min(appearance.beard, 1.0)
    brush.mix((red, green, blue), amount * (_BEARD_SHADE + _BEARD_DOTS * dots))
    brush.specular *= 1 - _BEARD_MATT * amount


def paint_brows(brush: Brush, appearance: Appearance) -> None:
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
    amount[chosen] = np.clip(_BROW_SHADE * shade, 0, _MAX_BROW_SHADE)
    brush.mix(appearance.brow, amount)
    brush.gloss(_BROW_ROUGHNESS, amount)
    brush.specular *= 1 - _BROW_MATT * amount


def paint_hairline(brush: Brush, appearance: Appearance) -> None:
    """Paint fine hairs along the hairline, so that the hair grows out of the skin."""
    rise = brush.masks["hair"]
    strands = hair_noise(brush.position, _HAIRLINE, appearance.curl)
    uneven = _COMBED_REACH_M * strands * (1 - _CURLED_LESS * appearance.curl)
    reach = rise + uneven + _UNEVEN_REACH_M * brush.noise(_UNEVEN_REACH)
    outside = 1 - smoothstep(*_EAR_RANGE, brush.masks["ears"])
    hairs = _FINE_GAPS + _FINE_HAIRS * smoothstep(*_FINE_RANGE, strands)
    fine = smoothstep(*_FINE_REACH_M, reach) * hairs
    dense = np.maximum(fine, smoothstep(*_DENSE_RISE_M, rise))
    brush.mix(appearance.hair_dark, _DENSE_AMOUNT * dense * outside)
    brush.mix(appearance.hair_dark, _SHADE_AMOUNT * smoothstep(*_SHADE_RISE_M, rise) * outside)
    brush.specular *= 1 - _SCALP_MATT * smoothstep(*_SCALP_RISE_M, rise) * outside
    matt = np.maximum(fine, smoothstep(*_FINE_MATT_RISE_M, rise))
    brush.specular *= 1 - _FINE_MATT * matt * outside
