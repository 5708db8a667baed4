"""The paint of one material's texels, which painters change step by step. Colours are linear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.studio.appearance import Rgb
from models.studio.noise import fractal_noise, noise_gradient

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]


class Spot(NamedTuple):
    """A soft, round area on both sides of the face, in metres on the neutral head."""

    x_m: float
    """Distance from the middle of the face; the area is mirrored."""
    y_m: float
    z_m: float
    radius_m: float
    """Standard deviation of its Gaussian falloff."""


class Grain(NamedTuple):
    """Scale of a pattern of noise."""

    cells_per_m: float
    """Lattice cells per metre of the coarsest octave."""
    octaves: int


@dataclass(slots=True)
class Brush:
    """The paint of N texels of one material."""

    position: Floats
    """(N, 3) metres on the neutral head."""
    normal: Floats
    """(N, 3) unit vectors."""
    masks: dict[str, Floats]
    """(N,) by name."""
    colour: Floats
    """(N, 3) linear RGB."""
    roughness: Floats
    """(N,) 0..1."""
    specular: Floats
    """(N,) strength of highlights, 1 on plain skin."""
    relief: Floats
    """(N, 3) added to the normal; of hair the direction of the strands."""
    thinness: Floats
    """(N,) 0..1, how much light comes through from behind."""

    def mix(self, colour: Rgb, amount: Numbers) -> None:
        """Blend towards `colour` by `amount` (N,)."""
        target = np.asarray(colour, np.float32)
        self.colour += np.clip(amount, 0, 1)[:, None] * (target - self.colour)

    def tint(self, factor: Rgb, amount: Numbers) -> None:
        """Multiply by `factor`, weighted by `amount` (N,)."""
        self.colour *= 1 + amount[:, None] * (np.asarray(factor, np.float32) - 1)

    def gloss(self, roughness: float, amount: Numbers) -> None:
        """Blend the roughness towards a value by `amount` (N,)."""
        self.roughness += np.clip(amount, 0, 1) * (roughness - self.roughness)

    def bump(self, grain: Grain, strength: float | Floats) -> None:
        """Add relief from noise; `strength` is roughly the tangent of its steepest slopes."""
        gradient = noise_gradient(self.position, *grain)
        self.relief -= gradient * np.asarray(strength, np.float32).reshape(-1, 1)

    def near(self, spot: Spot) -> Floats:
        """Return (N,) 1 in the middle of a spot, 0 far from it."""
        px, py, pz = self.position.T
        offset = np.stack([np.abs(px) - spot.x_m, py - spot.y_m, pz - spot.z_m], axis=1)
        variance = spot.radius_m**2
        falloff: Floats = np.exp(-(offset**2).sum(1) / (2 * variance)).astype(np.float32)
        return falloff

    def noise(self, grain: Grain) -> Floats:
        """Return `fractal_noise` (N,) at the texels."""
        return fractal_noise(self.position, *grain)


def vector(*values: float) -> Floats:
    """Return the numbers as a float32 array, which keeps float32 arrays float32 in products."""
    return np.array(values, np.float32)
