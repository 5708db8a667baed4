"""Paints clothes: a soft knit with folds, and a ribbed collar.

Colours are linear RGB; they, scales and amounts are chosen by eye, on renders of the shipped heads.
"""

from __future__ import annotations

import numpy as np

from models.studio.appearance import Appearance
from models.studio.brush import Brush, Grain, vector
from models.studio.noise import noise_gradient

COLLAR_DETAIL = 10
"""The mask "detail" is an angle around the neck plus this on the collar, and 0 elsewhere."""
_RIBS = 46
"""Ribs around the collar."""
_STITCHES_PER_M, _ROWS_PER_M = 2100, 1900
"""Radians of the pattern per metre across and up: stitches of 3.0 by 3.3 mm."""
_KNIT_FACTOR, _KNIT_AMOUNT = (0.42, 0.45, 0.47), 0.45
"""Colour and opacity of the shade between stitches."""
_FIBRES, _FIBRE_FACTOR, _FIBRE_AMOUNT = Grain(900, 2), (1.3, 1.25, 1.22), 0.6
_FADED, _FADED_FACTOR = Grain(30, 2), (1.14, 1.12, 1.1)
_ROUGHNESS, _SPECULAR = 0.85, 0.25
_FUZZ, _FUZZ_TANGENT = Grain(1200, 2), 0.4
_FOLDS, _FOLD_TANGENT, _FOLD_STRETCH = Grain(26, 2), np.float32(0.34), vector(1.0, 0.35, 1.0)
"""Folds hang from the collar: noise changes slowly along y."""
_DENTS, _DENT_TANGENT = Grain(60, 2), 0.20


def paint_cloth(brush: Brush, appearance: Appearance) -> None:
    """Paint a soft knit; the collar is ribbed."""
    brush.colour[:] = appearance.cloth
    detail, (x, y, _) = brush.masks["detail"], brush.position.T
    collar = detail >= COLLAR_DETAIL
    phase = np.where(collar, detail * _RIBS, x * _STITCHES_PER_M)
    rows = y * _ROWS_PER_M
    knit = np.where(collar, np.cos(phase), np.cos(phase) * np.cos(rows + np.cos(phase)))
    brush.tint(_KNIT_FACTOR, _KNIT_AMOUNT * (0.5 - 0.5 * knit).astype(np.float32))
    brush.tint(_FIBRE_FACTOR, _FIBRE_AMOUNT * brush.noise(_FIBRES))
    brush.tint(_FADED_FACTOR, brush.noise(_FADED))
    brush.roughness[:] = _ROUGHNESS
    brush.specular[:] = _SPECULAR
    brush.bump(_FUZZ, _FUZZ_TANGENT)
    brush.relief -= noise_gradient(brush.position * _FOLD_STRETCH, *_FOLDS) * _FOLD_TANGENT
    brush.bump(_DENTS, _DENT_TANGENT)
