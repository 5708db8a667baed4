"""Channel counts and layouts that networks and their compiled kernels must agree on."""

from __future__ import annotations

POSE_SIZE = 6
"""View direction in head space (3) and the head's rotation vector (3)."""
CAMERA_SIZE = 3
"""Position of the head on screen (2) and log distance (1)."""
COLOUR_CHANNELS = 3
"""Leading channels of the neural texture: RGB, never scaled by spherical harmonics."""
OUTPUT_CHANNELS = 8
"""Output of the convolutions: RGB, mask logit, gains for albedo (RGB) and gloss."""
