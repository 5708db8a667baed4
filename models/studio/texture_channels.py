"""The channels of the painted texture maps, in the order that painting writes and shading reads."""

from __future__ import annotations

COLOUR = 0
"""First of 3 channels: linear RGB."""
ROUGHNESS = 3
SPECULAR = 4
"""Strength of highlights; 1 is plain skin."""
RELIEF = 5
"""First of 3 channels: offset of the normal, in head space; for hair, direction of the strands."""
THINNESS = 8
"""Translucency of skin, 0..1: the share of light that comes through from behind."""
FOLD_RELIEF = 9
"""First of 3 channels: offset of the normal of skin by fully folded wrinkles, in head space."""
FOLD_DEPTH = 12
"""Depth of a fully folded wrinkle in skin, 0..1."""

CHANNELS = 13
COMMON_CHANNELS = THINNESS
"""The first channels, which every material uses; only skin needs those that follow."""
