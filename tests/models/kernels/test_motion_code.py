"""The kernels for the conditioning vector against plain torch."""

import numpy as np
import torch
from torch import nn

from models.contract.channels import CAMERA_SIZE, POSE_SIZE
from models.kernels.motion_code import channel_scale, motion_share
from models.networks.conditioning import split_conditioning
from models.networks.motion import CODE, MotionCode, gather_weights
from models.networks.texture import harmonic_scale

EXPRESSIONS = 5


def test_kernels_compute_motion_code_and_channel_scale_as_torch_does() -> None:
    torch.manual_seed(0)
    motion, from_motion = MotionCode(POSE_SIZE, CAMERA_SIZE, EXPRESSIONS), nn.Linear(CODE, 32)
    now, cached = torch.randn(2, 1, POSE_SIZE + CAMERA_SIZE + EXPRESSIONS).unbind()
    with torch.no_grad():
        expected = from_motion(motion(split_conditioning(now), split_conditioning(cached)))[
            0
        ].numpy()
        scale = harmonic_scale(split_conditioning(now).pose[:, :3], 16)[0].numpy()
    got = motion_share(now[0].numpy(), cached[0].numpy(), *gather_weights(motion, from_motion))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(channel_scale(now[0].numpy(), 16), scale, rtol=1e-5, atol=1e-6)
