"""Real spherical harmonics up to degree two, in the published code's order."""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch import Tensor

_C0 = 1 / (2 * sqrt(pi))
_C1 = sqrt(3) * _C0
_C2 = sqrt(15) * _C0
_C3 = sqrt(1.25) * _C0

BASES = 9


def spherical_harmonics(direction: Tensor) -> Tensor:
    """Evaluate the nine bases.

    The last one is `c2 (x^2 - z^2)` as in the published code, not the standard `c2/2 (x^2 - y^2)`:
    their checkpoints need it, and a network does not mind.

    Args:
        direction: (..., 3).

    Returns:
        (..., 9): constant; y, z, x; xy, yz, 3z^2-1, zx, x^2-z^2.
    """
    x, y, z = direction.unbind(-1)
    bases = [
        torch.full_like(x, _C0),
        _C1 * y,
        _C1 * z,
        _C1 * x,
        _C2 * x * y,
        _C2 * y * z,
        _C3 * (3 * z * z - 1),
        _C2 * z * x,
        _C2 * (x * x - z * z),
    ]
    return torch.stack(bases, dim=-1)
