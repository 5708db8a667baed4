"""The lights of the studio, fixed in world space: four lamps, the sky and the floor.

A warm key light from the upper right of the image with a soft shadow, a cool fill light, two rim
lights behind, and a sky that is lighter than the floor. Directions and colours (linear RGB) are
chosen by eye, on renders at 384x384.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from models.geometry.smoothstep import scalar_smoothstep
from models.studio.reflectance import Doubles, Floats, Vector, dot

LAMPS = 4
KEY_LIGHT, FILL_LIGHT = 0, 1
"""Rows of `make_lamps`; the rim lights follow."""

KEY = np.array([0.56, 0.50, 0.66])
"""(3,) unit vector towards the key light."""
KEY /= np.linalg.norm(KEY)
_OTHERS = np.array(
    [
        # direction to the light, colour
        [-0.82, 0.10, 0.56, 0.30, 0.36, 0.46],
        [-0.66, 0.42, -0.62, 1.45, 1.60, 1.90],
        [0.80, 0.30, -0.52, 1.25, 1.06, 0.88],
    ]
)
_OTHERS[:, :3] /= np.linalg.norm(_OTHERS[:, :3], axis=1, keepdims=True)

SKY = np.array([0.31, 0.335, 0.39])
FLOOR = np.array([0.12, 0.105, 0.10])
"""Linear RGB of the light from straight above and from straight below."""

KEY_RIGHT = np.cross([0.0, 1.0, 0.0], KEY)
KEY_RIGHT /= np.linalg.norm(KEY_RIGHT)
KEY_UP = np.cross(KEY, KEY_RIGHT)
"""(3,) unit vectors across the key light: axes of its shadow map and of its softbox."""

_PENUMBRA_PER_M = 400.0
"""A shadow fades in over 1/400 m = 2.5 mm of depth, so that grazing surfaces do not flicker."""
_BORDER = 4
"""Texels at the right and lower border of a shadow map that the filter would leave; 2 at the
others."""
_TENT_WEIGHTS = 9.0
"""Sum of the filter's weights: those of each axis sum to 3."""
_MIN_FACING = 0.1
"""Cosine to the key light below which its softbox is not mirrored: tangents would grow without
end."""
_SOFTBOX_HALF_WIDTH, _SOFTBOX_HALF_HEIGHT = 0.32, 0.42
"""Half size of the key light's softbox: tangents of the angles from its middle."""


def make_lamps(key_colour: tuple[float, float, float]) -> Doubles:
    """Return (4, 6): unit direction to each lamp and its linear RGB, the key light first."""
    return np.vstack([np.concatenate([KEY, key_colour]), _OTHERS])


@njit(cache=True, nogil=True, inline="always")
def sky_light(up: float, channel: int) -> float:
    """Return one channel of the room's light: the floor's at `up` = 0, the sky's at 1."""
    light: float = FLOOR[channel] + (SKY[channel] - FLOOR[channel]) * up
    return light


@njit(cache=True, nogil=True)
def lit_share(shadow: Floats, x: float, y: float, near: float, bias: float) -> float:
    """Return the share of the key light that passes its shadow map: a 4x4 tent filter.

    Args:
        shadow: (L, L) nearness to the key light of what it meets first, metres.
        x: Column in the map, texels.
        y: Row in the map, texels.
        near: Nearness of the shaded point, metres.
        bias: Metres by which a surface may lie nearer without casting a shadow.

    Returns:
        0 (in shadow) to 1; 1 outside of the map.
    """
    size = shadow.shape[0]
    fx, fy = x - 0.5, y - 0.5
    ix, iy = int(fx), int(fy)
    if ix < 2 or iy < 2 or ix > size - _BORDER or iy > size - _BORDER:
        return 1.0
    tx, ty = fx - ix, fy - iy
    lit = 0.0
    for dy in range(-1, 3):
        wy = (1.0 - ty) if dy == -1 else (ty if dy == 2 else 1.0)
        for dx in range(-1, 3):
            wx = (1.0 - tx) if dx == -1 else (tx if dx == 2 else 1.0)
            gap = shadow[iy + dy, ix + dx] - near - bias
            lit += wx * wy * (1.0 - min(max(gap * _PENUMBRA_PER_M, 0.0), 1.0))
    return lit / _TENT_WEIGHTS


@njit(cache=True, nogil=True, inline="always")
def softbox(direction: Vector, blur: float) -> float:
    """Return how much of the key light's softbox lies along a direction.

    Args:
        direction: Unit reflection vector.
        blur: How far its edges are softened, as tangents of angles.

    Returns:
        0..1.
    """
    depth = direction[0] * KEY[0] + direction[1] * KEY[1] + direction[2] * KEY[2]
    if depth <= _MIN_FACING:
        return 0.0
    across = (
        direction[0] * KEY_RIGHT[0] + direction[1] * KEY_RIGHT[1] + direction[2] * KEY_RIGHT[2]
    ) / depth
    along = (direction[0] * KEY_UP[0] + direction[1] * KEY_UP[1] + direction[2] * KEY_UP[2]) / depth
    return scalar_smoothstep(
        _SOFTBOX_HALF_WIDTH + blur, _SOFTBOX_HALF_WIDTH - blur, abs(across)
    ) * scalar_smoothstep(_SOFTBOX_HALF_HEIGHT + blur, _SOFTBOX_HALF_HEIGHT - blur, abs(along))


@njit(cache=True, nogil=True, inline="always")
def shadow_lookup(shadow: Floats, frame: Doubles, point: Vector, bias: float) -> float:
    """Return the share of the key light, 0..1, that reaches a point of the world.

    Args:
        shadow: (L, L) nearness to the key light of what it meets first, metres.
        frame: (3, 4) world to shadow map: column and row in texels, nearness in metres.
        point: World position, metres.
        bias: Metres by which a surface may lie nearer without casting a shadow.
    """
    return lit_share(
        shadow,
        dot((frame[0, 0], frame[0, 1], frame[0, 2]), point) + frame[0, 3],
        dot((frame[1, 0], frame[1, 1], frame[1, 2]), point) + frame[1, 3],
        dot((frame[2, 0], frame[2, 1], frame[2, 2]), point) + frame[2, 3],
        bias,
    )
