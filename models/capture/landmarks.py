"""MediaPipe's 478 landmarks: how many there are, and which of them form lids, lips and outline.

The indices are those of the canonical face model of MediaPipe (Apache-2.0). "Right" and "left" are
the person's. Chains run from the person's right to the left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FACE_POINTS = 468
"""Landmarks on the skin; the others are five on each iris."""
IRISES = (468, 473)
"""Centres of the right and of the left iris."""
OBSERVED = (*range(FACE_POINTS), *IRISES)
"""Landmarks that the fit uses, in its order: skin, right iris, left iris."""
CHEEKS = (234, 454)
"""Right and left end of the outline, between which the width of the face is measured."""

LID_CHAINS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "right": (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
    ),
    "left": (
        (362, 398, 384, 385, 386, 387, 388, 466, 263),
        (362, 382, 381, 380, 374, 373, 390, 249, 263),
    ),
}
"""Rims of the eyelids: upper and lower chain of each eye."""
INNER_LIPS: tuple[tuple[int, ...], tuple[int, ...]] = (
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)
"""Upper and lower chain of the mouth's opening."""
OUTER_LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
OUTLINE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""Outline of the face: where the face turns away, these slide over the skin."""

LIDS = tuple(sorted({i for chains in LID_CHAINS.values() for chain in chains for i in chain}))
LIPS = tuple(sorted({*OUTER_LIPS, *INNER_LIPS[0], *INNER_LIPS[1]}))

WEIGHTS_PX2 = {"skin": 0.15, "lips": 0.5, "lids": 0.5, "irises": 1.5, "outline": 0.06}
"""Weights of squared distances in pixels, at a face 100 pixels wide. Chosen by the errors of lips
and lids on a real clip."""


def landmark_weights() -> NDArray[np.float64]:
    """Return (470,) the weights of the observed landmarks, in the order of `OBSERVED`."""
    weights = np.full(len(OBSERVED), WEIGHTS_PX2["skin"])
    weights[list(LIPS)] = WEIGHTS_PX2["lips"]
    weights[list(LIDS)] = WEIGHTS_PX2["lids"]
    weights[list(OUTLINE)] = WEIGHTS_PX2["outline"]
    weights[FACE_POINTS:] = WEIGHTS_PX2["irises"]
    return weights
