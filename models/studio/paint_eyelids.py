"""Paints eyelids: their colour, the moist rim at the eyeball, and the dark line of the lashes.

Distances are metres, from the surface of the eyeball or from its middle; they and all amounts are
chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.geometry.smoothstep import smoothstep
from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats

_LID_FACTOR, _LID_AMOUNT, _LID_MAKE_UP = (0.88, 0.84, 0.85), 0.45, 0.6
"""Tint of the lids, how much of it shows bare, and how much more with `Appearance.make_up`."""
_LID_SPECULAR = 0.35
"""Lids are more moist, and shine more by this share."""

_FRONT_Z_M = (0.0, 0.006)
_MAX_HEIGHT_M = 0.012
"""In front of the eyeball's middle, and not above or below the ball (its radius is 12 mm), skin
near the ball is the rim of a lid. The paint fades in over `_FRONT_Z_M`."""
_UPPER_Y_M = (-0.0015, 0.0015)
"""Heights over which the paint of the lower lid turns into that of the upper one."""

_RIM_GAP_M = (0.0024, 0.0008)
"""Distance from the eyeball at which the moist rim begins, and within which it is full."""
_RIM_SKIN, _RIM_BLOOD = 0.6, (0.107, 0.054, 0.046)
"""The rim has this share of the skin's colour, and the colour of blood below it."""
_RIM_AMOUNT, _RIM_ROUGHNESS, _RIM_SPECULAR = 0.6, 0.20, 0.7

_LASH_GAP_M = (0.0038, 0.0021)
"""Distance from the eyeball at which the line of the lashes begins, and within which it is full."""
_OUTER_X_M = (-0.012, 0.010)
"""Outwards from the middle of the eye: the line is darker towards the outer corner."""
_LINE_AMOUNT, _LINE_MAKE_UP = 0.62, 0.5
_LINE_INNER, _LINE_OUTER = 0.55, 0.4
"""Share of the line at the inner corner, and how much more at the outer one."""
_LOWER_COLOUR, _LOWER_AMOUNT = (0.12, 0.06, 0.05), 0.45
_LOWER_GAP_M = (0.0016, 0.0030)
"""The lower line begins this far from the eyeball, outside of the moist rim."""


def paint_eyelids(brush: Brush, eyes: Floats, radius: float, appearance: Appearance) -> None:
    """Paint eyelids: a little darker and redder, a dark lash line above, a moist rim.

    Args:
        brush: The skin's texels.
        eyes: (2, 3) middles of the eyeballs, metres.
        radius: Radius of the eyeballs, metres.
        appearance: Colours and features of the person.
    """
    lids = brush.masks["eyelids"]
    brush.tint(_LID_FACTOR, (_LID_AMOUNT + _LID_MAKE_UP * appearance.make_up) * lids)
    brush.specular *= 1 + _LID_SPECULAR * lids
    side = (brush.position[:, 0] < 0).astype(np.int64)  # eyes[0] is the left one, at +X
    offset = brush.position - eyes[side]
    gap = np.linalg.norm(offset, axis=1) - radius
    beside = np.abs(offset[:, 1]) < _MAX_HEIGHT_M
    front = smoothstep(*_FRONT_Z_M, offset[:, 2]) * beside
    upper = smoothstep(*_UPPER_Y_M, offset[:, 1])
    rim = smoothstep(*_RIM_GAP_M, gap) * front
    red, green, blue = _RIM_SKIN * np.array(appearance.skin) + _RIM_BLOOD
    brush.mix((red, green, blue), _RIM_AMOUNT * rim * (1 - upper))
    brush.gloss(_RIM_ROUGHNESS, rim)
    brush.specular += _RIM_SPECULAR * rim * (1 - upper)
    # After the rim, so that lashes darken its outer part.
    lash_line = smoothstep(*_LASH_GAP_M, gap) * front
    outer = smoothstep(*_OUTER_X_M, _outwards(brush, eyes, side))
    amount = _LINE_AMOUNT + _LINE_MAKE_UP * appearance.make_up
    along = _LINE_INNER + _LINE_OUTER * outer
    brush.mix(appearance.lash, amount * lash_line * upper * along)
    lower = _LOWER_AMOUNT * lash_line * (1 - upper) * outer * smoothstep(*_LOWER_GAP_M, gap)
    brush.mix(_LOWER_COLOUR, lower)


def _outwards(brush: Brush, eyes: Floats, side: NDArray[np.int64]) -> Floats:
    """Return (N,) the distance outwards from the middle of the nearer eye, in metres."""
    result: Floats = np.abs(brush.position[:, 0]) - np.abs(eyes[side, 0])
    return result
