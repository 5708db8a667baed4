"""Adam with separate learning rates for the levels of textures, and their schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from models.networks.avatar_networks import Networks
from models.networks.texture import LEVELS


@dataclass(frozen=True, slots=True)
class Schedule:
    """Change of the learning rates over a run; times are fractions of the run."""

    kind: Literal["cosine", "milestones"] = "cosine"
    """Cosine decay, or steps as in the paper."""
    warm_up: float = 0.02
    """End of the linear warm-up. The paper: 5 of 150 epochs."""
    floor: float = 0.01
    """Final rate of the cosine, as a share of the peak."""
    milestones: tuple[float, ...] = (1 / 3, 2 / 3)
    """Times at which rates step down. The paper: epochs 50 and 100 of 150."""
    decay: float = 0.1
    """Factor of the rates at each milestone."""

    def share(self, fraction: float) -> float:
        """Return the share of the peak learning rates at `fraction` (0..1) of a run."""
        if fraction < self.warm_up:
            return 0.05 + 0.95 * fraction / self.warm_up  # not from 0, which would waste a step
        if self.kind == "milestones":
            return self.decay ** sum(fraction >= milestone for milestone in self.milestones)
        falling = math.cos(math.pi * (fraction - self.warm_up) / (1 - self.warm_up))
        return self.floor + (1 - self.floor) * 0.5 * (1 + falling)


@dataclass(frozen=True, slots=True)
class Rates:
    """Learning rates and weight decay. Those of textures are given per pyramid level, finest first;
    the last one applies to all coarser levels."""

    networks: float = 1e-3
    """The paper: 1e-4."""
    texture: tuple[float, ...] = (5e-3,)
    """The paper: 1e-3."""
    texture_weight_decay: tuple[float, ...] = (1e-3, 1e-4, 1e-5, 0.0)
    """The paper's."""
    clip: float = 1.0
    """Greatest norm of the gradient; longer gradients are scaled down."""
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if not self.texture or not self.texture_weight_decay:
            raise ValueError("texture and texture_weight_decay must have at least one value each")


def build_optimizer(networks: Networks, rates: Rates) -> torch.optim.Adam:
    """Build Adam, whose parameter groups store their peak learning rate as `peak`."""
    groups: list[dict[str, Any]] = [
        {
            "params": [level],
            "peak": rates.texture[min(index, len(rates.texture) - 1)],
            "weight_decay": rates.texture_weight_decay[
                min(index, len(rates.texture_weight_decay) - 1)
            ],
        }
        for texture in networks.textures
        for index, level in enumerate(texture.levels)
    ]
    # The paper trains the convolutions at a tenth of the rate of textures, without decay.
    rest = [p for name, p in networks.named_parameters() if LEVELS not in name]
    groups.append({"params": rest, "peak": rates.networks, "weight_decay": 0.0})
    return torch.optim.Adam(groups, lr=rates.networks, betas=(0.9, 0.999), foreach=True)


def set_rates(optimizer: torch.optim.Optimizer, schedule: Schedule, fraction: float) -> None:
    """Set the learning rates of all parameter groups for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * schedule.share(fraction)
