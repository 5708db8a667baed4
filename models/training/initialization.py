"""The weights that training starts from: random, or another avatar's."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.networks.avatar_networks import Networks, TelewarpNetworks
from models.networks.texture import LEVELS, NeuralTexture


class InitialError(ValueError):
    """Another avatar's weights cannot be started from."""


class InitializedWeights(NamedTuple):
    """What was taken of another avatar."""

    taken: tuple[str, ...]
    """Names of the weights that fit."""
    left: tuple[str, ...]
    """Names of the weights that stay random: the avatar has none of that name and shape."""

    def __str__(self) -> str:
        total = len(self.taken) + len(self.left)
        text = f"{len(self.taken)} of {total} weights taken"
        return f"{text}; fresh: {', '.join(self.left)}" if self.left else text


def initialize(networks: nn.Module) -> None:
    """He initialisation for networks without normalisation; last layers start near silence.

    At first every picture is then the texture's colour, which the networks learn to correct.
    """
    if not isinstance(networks, TelewarpNetworks):
        return
    for module in networks.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    last: list[nn.Module] = [networks.generator.unet.last]
    if hasattr(networks, "warper"):  # a baseline may have none
        last += [networks.warper.second_cached, networks.warper.second]
    with torch.no_grad():
        for layer in last:
            assert isinstance(layer, nn.Conv2d)
            layer.weight.mul_(0.05)


@torch.no_grad()
def start_from(networks: Networks, avatar: Path) -> InitializedWeights:
    """Take another avatar's weights where names and shapes match.

    Args:
        networks: To be filled, in place.
        avatar: The other's folder.

    Returns:
        What was taken and what was not.

    Raises:
        InitialError: If the folder's weights cannot be read, or none of them fits.
    """
    path = avatar / "weights.safetensors"
    try:
        given = {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as exc:
        raise InitialError(f"{path} is not a readable weights file: {exc}") from exc
    wanted = networks.state_dict()
    for name, module in networks.named_modules():
        if isinstance(module, NeuralTexture):
            given = _as_pyramid(given, f"{name}{LEVELS}", len(module.levels))
    taken = [name for name, value in wanted.items() if _fits(given.get(name), value)]
    if not taken:
        raise InitialError(f"{path} has no weight that these networks have")
    for name in taken:
        wanted[name].copy_(given[name])
    return InitializedWeights(tuple(taken), tuple(name for name in wanted if name not in taken))


def _fits(given: Tensor | None, wanted: Tensor) -> bool:
    return given is not None and given.shape == wanted.shape


def _as_pyramid(weights: dict[str, Tensor], prefix: str, levels: int) -> dict[str, Tensor]:
    """Take a texture that was saved as one level apart again: levels that add up to the same."""
    names = [name for name in weights if name.startswith(prefix)]
    if len(names) != 1 or levels < 2:
        return weights
    blurred = [weights[names[0]]]
    for _ in range(levels - 1):
        blurred.append(F.avg_pool2d(blurred[-1], 2))
    parts = [
        fine - F.interpolate(coarse, scale_factor=2, mode="bilinear")
        for fine, coarse in pairwise(blurred)
    ]
    pyramid = [*parts, blurred[-1]]
    return weights | {f"{prefix}{index}": level for index, level in enumerate(pyramid)}
