"""Adam, with learning rates of their own for textures' levels, and how the rates change."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from models.networks.avatar_networks import Networks
from models.networks.texture import LEVELS


@dataclass(frozen=True, slots=True)
class Schedule:
    """How learning rates change over a run; all times are shares of it."""

    kind: Literal["cosine", "milestones"] = "cosine"
    """Down a cosine, or in steps as in the paper."""
    warm_up: float = 0.02
    """Rates rise until then. The paper: 5 of 150 epochs."""
    floor: float = 0.01
    """Where the cosine ends, share of the peak."""
    milestones: tuple[float, ...] = (1 / 3, 2 / 3)
    """When rates step down. The paper: epochs 50 and 100 of 150."""
    decay: float = 0.1
    """What rates are multiplied by at each milestone."""

    def share(self, fraction: float) -> float:
        """Share of the peak learning rates when `fraction` (0..1) of a run is done."""
        if fraction < self.warm_up:
            return 0.05 + 0.95 * fraction / self.warm_up
        if self.kind == "milestones":
            return self.decay ** sum(fraction >= milestone for milestone in self.milestones)
        falling = math.cos(math.pi * (fraction - self.warm_up) / (1 - self.warm_up))
        return self.floor + (1 - self.floor) * 0.5 * (1 + falling)


@dataclass(frozen=True, slots=True)
class Rates:
    """Learning rates and weight decay. Of textures they are by pyramid level, finest first; the
    last holds for all coarser ones."""

    networks: float = 1e-3
    """The paper: 1e-4."""
    texture: tuple[float, ...] = (5e-3,)
    """The paper: 1e-3."""
    texture_weight_decay: tuple[float, ...] = (1e-3, 1e-4, 1e-5, 0.0)
    """As in the paper."""
    clip: float = 1.0
    """Gradients are scaled down to this norm where they are longer."""
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if not self.texture or not self.texture_weight_decay:
            raise ValueError("texture and texture_weight_decay need at least one number each")


def build_optimizer(networks: Networks, rates: Rates) -> torch.optim.Adam:
    """Adam whose groups know their peak rate, as `peak`."""
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
    rest = [p for name, p in networks.named_parameters() if LEVELS not in name]
    groups.append({"params": rest, "peak": rates.networks, "weight_decay": 0.0})
    return torch.optim.Adam(groups, lr=rates.networks, betas=(0.9, 0.999), foreach=True)


def set_rates(optimizer: torch.optim.Optimizer, schedule: Schedule, fraction: float) -> None:
    """Set every group's rate for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * schedule.share(fraction)
