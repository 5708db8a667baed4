"""A jaw that turns any way, as FLAME's does, where ARKit's only opens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.geometry.camera import quaternion_to_matrix, rotation_vector_to_quaternion

JAW_COEFFICIENTS = ("jawX", "jawY", "jawZ")
"""Names of the rotation vector's parts, radians, among a head's expressions."""


@dataclass(frozen=True, slots=True, eq=False)
class FreeJaw:
    """How a jaw follows a rotation vector (Li et al. 2017, "Learning a model of facial shape and
    expression from 4D scans", section 3)."""

    coefficients: NDArray[np.int32]
    """(3,) which of the head's coefficients are the rotation vector."""
    shifts: FloatArray
    """(E, 3) metres that its joint moves per coefficient at 1."""
    correctives: FloatArray
    """(9, V * 3) metres per entry, row by row, of the rotation matrix less the identity."""

    def rotation(self, expression: FloatArray) -> NDArray[np.float32]:
        """(3, 3) the jaw's turn at coefficients (E,)."""
        vector = expression[self.coefficients]
        return quaternion_to_matrix(rotation_vector_to_quaternion(vector)).astype(np.float32)

    def shift(self, expression: FloatArray) -> FloatArray:
        """(3,) metres that coefficients (E,) move the joint by."""
        moved: FloatArray = (expression[:, None] * self.shifts).sum(axis=0)
        return moved
