"""Paints skin, step by step: complexion, pores, beard, eyelids, lips, brows and hairline."""

from __future__ import annotations

from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats
from models.studio.paint_complexion import paint_complexion
from models.studio.paint_eyelids import paint_eyelids
from models.studio.paint_lips import paint_lips
from models.studio.paint_pores import paint_pores, paint_thinness
from models.studio.paint_stubble import paint_beard, paint_brows, paint_hairline


def paint_skin(brush: Brush, eyes: Floats, radius: float, appearance: Appearance) -> None:
    """Paint face, ears and neck.

    Args:
        brush: The skin's texels.
        eyes: (2, 3) middles of the eyeballs, metres.
        radius: Radius of the eyeballs, metres.
        appearance: Colours and features of the person.
    """
    # Colour and pores first: they set all texels, and the other steps change what they set. Hair
    # last: it covers everything below.
    paint_complexion(brush, appearance)
    paint_pores(brush, appearance)
    paint_beard(brush, appearance)
    paint_eyelids(brush, eyes, radius, appearance)
    paint_lips(brush, appearance)
    paint_brows(brush, appearance)
    paint_hairline(brush, appearance)
    paint_thinness(brush)
