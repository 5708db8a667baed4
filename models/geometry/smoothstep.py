"""The smooth step from 0 to 1, for arrays and, compiled, for single numbers."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.floating[Any])


def smoothstep(low: float, high: float, x: NDArray[_Number]) -> NDArray[_Number]:
    """Return 0 below `low`, 1 above `high` (mirrored where `low` > `high`), smooth between.

    The precision is that of `x`, of any shape.
    """
    t: NDArray[_Number] = np.clip((x - low) / (high - low), 0, 1)
    step: NDArray[_Number] = t * t * (3 - 2 * t)
    return step


@njit(cache=True, nogil=True, inline="always")
def scalar_smoothstep(low: float, high: float, x: float) -> float:
    """Return `smoothstep` of one number, in compiled loops."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)
