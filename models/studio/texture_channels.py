"""The channels of the painted texture maps, in the order that painting writes and shading reads."""

from __future__ import annotations

COLOUR = 0
"""First of 3: linear RGB."""
ROUGHNESS = 3
SPECULAR = 4
"""Strength of highlights; 1 is plain skin."""
RELIEF = 5
"""First of 3: what is added to the normal, in head space; of hair, the direction of the strands."""
THINNESS = 8
"""Of skin, 0..1: how much light comes through from behind."""
FOLD_RELIEF = 9
"""First of 3: what fully folded wrinkles add to the normal of skin, in head space."""
FOLD_DEPTH = 12
"""Of skin, 0..1: how deep a fully folded wrinkle is."""

CHANNELS = 13
COMMON_CHANNELS = THINNESS
"""The first channels, which every material uses; only skin needs those that follow."""
