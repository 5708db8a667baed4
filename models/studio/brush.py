"""The paint of one material's texels while it is being mixed. Colours are linear, not sRGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.studio.noise import fractal_noise, noise_gradient

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]


@dataclass(slots=True)
class Brush:
    """The paint of one material's texels while it is being mixed."""

    position: Floats
    normal: Floats
    masks: dict[str, Floats]
    colour: Floats
    roughness: Floats
    specular: Floats
    relief: Floats
    thinness: Floats

    def mix(self, colour: tuple[float, float, float], amount: Numbers) -> None:
        """Blend towards `colour` by `amount` (N,)."""
        target = np.asarray(colour, np.float32)
        self.colour += np.clip(amount, 0, 1)[:, None] * (target - self.colour)

    def tint(self, factor: tuple[float, float, float], amount: Numbers) -> None:
        """Multiply by `factor` as far as `amount` (N,) goes."""
        self.colour *= 1 + amount[:, None] * (np.asarray(factor, np.float32) - 1)

    def gloss(self, roughness: float, amount: Numbers) -> None:
        """Blend the roughness towards a value."""
        self.roughness += np.clip(amount, 0, 1) * (roughness - self.roughness)

    def bump(self, frequency: float, octaves: int, strength: float | Floats) -> None:
        """Add relief from noise; `strength` is about the tangent of the steepest slopes."""
        gradient = noise_gradient(self.position, frequency, octaves)
        self.relief -= gradient * np.asarray(strength, np.float32).reshape(-1, 1)

    def near(self, x: float, y: float, z: float, radius: float) -> Floats:
        """1 at the two places (+-x, y, z), falling off smoothly within about `radius` metres."""
        px, py, pz = self.position.T
        offset = np.stack([np.abs(px) - x, py - y, pz - z], axis=1)
        falloff: Floats = np.exp(-(offset**2).sum(1) / (2 * radius**2)).astype(np.float32)
        return falloff

    def noise(self, frequency: float, octaves: int) -> Floats:
        """`fractal_noise` at the texels."""
        return fractal_noise(self.position, frequency, octaves)


def smoothstep(low: float, high: float, x: Numbers) -> Floats:
    """0 below `low`, 1 above `high` (or mirrored where `low` > `high`), smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    result: Floats = (t * t * (3 - 2 * t)).astype(np.float32)
    return result


def vector(*values: float) -> Floats:
    """Numbers as a float32 array, so that what they meet stays float32."""
    return np.array(values, np.float32)
