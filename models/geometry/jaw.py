"""A jaw with three degrees of freedom, as FLAME has it; ARKit's jaw only opens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.geometry.camera import quaternion_to_matrix, rotation_vector_to_quaternion

JAW_COEFFICIENTS = ("jawX", "jawY", "jawZ")
"""Names of the rotation vector's components (radians) among a head's coefficients."""


@dataclass(frozen=True, slots=True, eq=False)
class FreeJaw:
    """Rotation and corrective shapes of a jaw that follows a rotation vector.

    After Li et al. 2017, "Learning a model of facial shape and expression from 4D scans", section
    3.
    """

    coefficients: NDArray[np.int32]
    """(3,) indices of the rotation vector's components among the head's coefficients."""
    shifts: FloatArray
    """(E, 3) metres that the jaw joint moves per coefficient at 1."""
    correctives: FloatArray
    """(9, V * 3) metres per entry (row-major) of the rotation matrix minus the identity."""

    def rotation(self, expression: FloatArray) -> NDArray[np.float32]:
        """Return the jaw's (3, 3) rotation matrix for coefficients (E,)."""
        vector = expression[self.coefficients]
        return quaternion_to_matrix(rotation_vector_to_quaternion(vector)).astype(np.float32)

    def shift(self, expression: FloatArray) -> FloatArray:
        """Return how far coefficients (E,) move the jaw joint, (3,) metres."""
        offset: FloatArray = (expression[:, None] * self.shifts).sum(axis=0)
        return offset
