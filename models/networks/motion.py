"""The motion code: the change of conditioning since the cached frame, the same for all pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.geometry.spherical_harmonics import BASES, spherical_harmonics
from models.kernels.motion_code import MotionWeights
from models.networks.conditioning import Conditioning

CODE = 32
"""Width of the motion code."""


class MotionCode(nn.Module):
    """Linear layer and ReLU of pose, camera and expression, now and as differences.

    Args:
        pose: Number of pose parameters.
        camera: Number of camera parameters.
        expression: Number of expression coefficients, may be 0.
    """

    def __init__(self, pose: int, camera: int, expression: int) -> None:
        super().__init__()
        # Each twice, as it is and as the change since; the harmonics are of the current view only.
        self.linear = nn.Linear(BASES + 2 * (pose + camera + expression), CODE)

    def forward(self, now: Conditioning, cached: Conditioning) -> Tensor:
        """Compute the code.

        Args:
            now: Conditioning of the current frame.
            cached: Conditioning of the cached frame.

        Returns:
            (B, 32), not negative.
        """
        # In the order of the published code, whose weights depend on it.
        parts = [
            spherical_harmonics(now.pose[:, :3]),
            now.pose,
            now.pose - cached.pose,
            now.camera - cached.camera,
            now.camera,
            now.expression,
            now.expression - cached.expression,
        ]
        return F.relu(self.linear(torch.cat(parts, dim=1)))


def gather_weights(motion: MotionCode, from_motion: nn.Linear) -> MotionWeights:
    """Collect the weights of a warp's motion code and of its linear layer, for `motion_share`."""
    layers = (motion.linear, from_motion)
    parts = [part.detach().numpy() for layer in layers for part in (layer.weight, layer.bias)]
    return MotionWeights(*parts)
