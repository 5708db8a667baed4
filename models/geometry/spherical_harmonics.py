"""Real spherical harmonics up to degree two, in the order of the paper's published code."""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor

# Normalisation constants of degree 0, of degree 1, and of degree 2 (C3 for the 3z^2-1 term).
C0 = 1 / (2 * sqrt(pi))
C1 = sqrt(3) * C0
C2 = sqrt(15) * C0
C3 = sqrt(1.25) * C0

BASES = 9
"""Number of basis functions up to degree two."""


def spherical_harmonics(direction: Tensor) -> Tensor:
    """Evaluate the nine basis functions.

    The last one is `c2 (x^2 - z^2)` as in the published code, not the standard `c2/2 (x^2 - y^2)`:
    published checkpoints need it.

    Args:
        direction: (..., 3), unit vectors for true harmonics; any values are accepted.

    Returns:
        (..., 9): constant; y, z, x; xy, yz, 3z^2-1, zx, x^2-z^2.
    """
    x, y, z = direction.unbind(-1)
    bases = [
        torch.full_like(x, C0),
        C1 * y,
        C1 * z,
        C1 * x,
        C2 * x * y,
        C2 * y * z,
        C3 * (3 * z * z - 1),
        C2 * z * x,
        C2 * (x * x - z * z),
    ]
    return torch.stack(bases, dim=-1)
