"""Paints the inside of the mouth: cheeks, teeth with their gums, and tongue.

Colours are linear RGB. Distances are metres, angles radians; they and all amounts are chosen by
eye, on renders of the shipped heads with open mouths.
"""

from __future__ import annotations

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.studio.brush import Brush, Floats, Grain

TOOTH_WIDTHS_RAD = (0.165, 0.14, 0.15, 0.14, 0.16, 0.22)
"""Widths of the modelled teeth of one side, from the middle: angles around the axis of the arch, 3
cm behind the eyes. Anny's own rows are painted as if they went on with two wider ones."""
_FURTHER_TEETH_RAD = (0.25, 0.3)

_CHEEK = (0.36, 0.105, 0.095)
_CHEEK_MOTTLED, _CHEEK_MOTTLED_FACTOR = Grain(200, 2), (1.1, 0.9, 0.9)
_THROAT_Z_M, _THROAT_FACTOR = (0.012, -0.02), (0.35, 0.3, 0.3)
"""Between these depths the cheeks become as dark as the throat, which no lamp reaches."""
_CHEEK_ROUGHNESS, _CHEEK_RELIEF, _CHEEK_TANGENT = 0.3, Grain(300, 2), 0.1

_IVORY = (0.80, 0.745, 0.63)
_GAP_RAD, _GAP_FACTOR = (0.018, 0.004), (0.62, 0.53, 0.46)
"""Distance from the line between two teeth at which its shade begins, and is full."""
_SCALLOP_SHARE, _SCALLOP_RAD = 0.08, 0.07
"""Between teeth the gum comes further down by this share of a tooth, and further up in the middle
of a tooth, half of its width away."""
_GUM_END_SHARE = (0.33, 0.25)
"""The gum ends between these shares of a tooth, from its root."""
_GUM, _GUM_AMOUNT = (0.48, 0.17, 0.155), 0.95
_UPPER_BACK_RAD, _LOWER_BACK_RAD = (0.95, 0.50), (0.62, 0.26)
"""Angles from the middle between which teeth disappear in the dark. The rows reach far back: in the
half-light between the cheeks, where gums hide real teeth, they must not show highlights."""
_BACK_FACTOR = (0.10, 0.05, 0.045)
_LOWER_FACTOR = (0.82, 0.80, 0.78)
"""The lower row stands in the shade of the upper one."""
_TOOTH_ROUGHNESS, _TOOTH_SPECULAR = 0.2, 1.2

_TONGUE = (0.50, 0.185, 0.165)
_FURROW_M, _FURROW_FACTOR = 0.0016, (0.75, 0.65, 0.65)
"""Width of the furrow in the middle of the tongue."""
_TONGUE_MOTTLED, _TONGUE_MOTTLED_FACTOR = Grain(700, 2), (1.15, 1.05, 1.05)
_TONGUE_ROUGHNESS, _PAPILLAE, _PAPILLAE_TANGENT = 0.36, Grain(1100, 2), 0.3
"""Papillae of the tongue are about 1 mm apart."""


def paint_mouth(brush: Brush) -> None:
    """Paint the inside of the cheeks, darker towards the throat."""
    brush.colour[:] = _CHEEK
    brush.tint(_CHEEK_MOTTLED_FACTOR, brush.noise(_CHEEK_MOTTLED))
    brush.tint(_THROAT_FACTOR, smoothstep(*_THROAT_Z_M, brush.position[:, 2]))
    brush.roughness[:] = _CHEEK_ROUGHNESS
    brush.bump(_CHEEK_RELIEF, _CHEEK_TANGENT)


def paint_teeth(brush: Brush) -> None:
    """Paint ivory, darker where one tooth ends and the next begins; gums towards the roots."""
    brush.colour[:] = _IVORY
    angle = np.abs(brush.masks["detail"])
    edges = np.cumsum([0.0, *TOOTH_WIDTHS_RAD, *_FURTHER_TEETH_RAD])
    gap = np.abs(angle[:, None] - edges[None]).min(1)
    brush.tint(_GAP_FACTOR, smoothstep(*_GAP_RAD, gap).astype(np.float32))
    # The mask is 1 at the root to 2 at the edge, negative in the lower row.
    upper = brush.masks["teeth"] > 0
    below_root = np.abs(brush.masks["teeth"]) - 1
    scallop = _SCALLOP_SHARE * np.cos(np.minimum(gap, _SCALLOP_RAD) / _SCALLOP_RAD * np.pi)
    gum = smoothstep(*_GUM_END_SHARE, below_root - scallop).astype(np.float32)
    brush.mix(_GUM, _GUM_AMOUNT * gum)
    back: Floats = np.where(
        upper, smoothstep(*_UPPER_BACK_RAD, angle), smoothstep(*_LOWER_BACK_RAD, angle)
    )
    brush.tint(_BACK_FACTOR, 1 - back)
    brush.tint(_LOWER_FACTOR, (~upper).astype(np.float32))
    brush.roughness[:] = _TOOTH_ROUGHNESS
    brush.specular[:] = _TOOTH_SPECULAR * back


def paint_tongue(brush: Brush) -> None:
    """Paint the tongue, with its furrow in the middle."""
    brush.colour[:] = _TONGUE
    furrow = np.exp(-((brush.position[:, 0] / _FURROW_M) ** 2)).astype(np.float32)
    brush.tint(_FURROW_FACTOR, furrow)
    brush.tint(_TONGUE_MOTTLED_FACTOR, brush.noise(_TONGUE_MOTTLED))
    brush.roughness[:] = _TONGUE_ROUGHNESS
    brush.bump(_PAPILLAE, _PAPILLAE_TANGENT)
