"""Initial weights of a training run: random, or those of another avatar."""

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

_LAST_LAYER_SCALE = 0.05
"""Factor of the last layers' initial weights."""


class InitializationError(ValueError):
    """The weights of another avatar are unreadable, or none of them fits."""


class InitializedWeights(NamedTuple):
    """Names of the weights that another avatar initialized."""

    taken: tuple[str, ...]
    """Names of the weights that were copied."""
    left: tuple[str, ...]
    """Names of the weights that stay random: the avatar has none of this name and shape."""

    def __str__(self) -> str:
        total = len(self.taken) + len(self.left)
        text = f"{len(self.taken)} of {total} weights taken"
        return f"{text}; fresh: {', '.join(self.left)}" if self.left else text


def initialize(networks: nn.Module) -> None:
    """Initialize networks in place: He et al. 2015, with small last layers.

    The first images then show the colour of the texture, which the networks learn to correct. The
    paper's networks normalize their features and keep PyTorch's initialization.
    """
    if not isinstance(networks, TelewarpNetworks):
        return
    for module in networks.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    last: list[nn.Module] = [networks.generator.unet.last]
    if hasattr(networks, "warper"):  # two-frame baselines have no warp
        last += [networks.warper.second_cached, networks.warper.second]
    with torch.no_grad():
        for layer in last:
            assert isinstance(layer, nn.Conv2d)
            layer.weight.mul_(_LAST_LAYER_SCALE)


@torch.no_grad()
def load_initial_weights(networks: Networks, avatar: Path) -> InitializedWeights:
    """Copy the weights of another avatar where names and shapes match.

    Args:
        networks: Networks to initialize, in place.
        avatar: Folder of the other avatar.

    Returns:
        Names of the weights that were copied and of those that were not.

    Raises:
        InitialError: If the weights cannot be read, or none of them fits.
    """
    path = avatar / "weights.safetensors"
    try:
        # Avatars are saved in half precision.
        given = {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as exc:
        raise InitializationError(f"{path} is not a readable weights file: {exc}") from exc
    wanted = networks.state_dict()
    for name, module in networks.named_modules():
        if isinstance(module, NeuralTexture):
            given = _as_pyramid(given, f"{name}{LEVELS}", len(module.levels))
    taken = [name for name, value in wanted.items() if _fits(given.get(name), value)]
    if not taken:
        raise InitializationError(f"{path}: expected weights of these networks, got none that fits")
    for name in taken:
        wanted[name].copy_(given[name])
    return InitializedWeights(tuple(taken), tuple(name for name in wanted if name not in taken))


def _fits(given: Tensor | None, wanted: Tensor) -> bool:
    return given is not None and given.shape == wanted.shape


def _as_pyramid(weights: dict[str, Tensor], prefix: str, levels: int) -> dict[str, Tensor]:
    """Split a texture that was saved as one level into `levels` that add up to the same texture."""
    # Saved avatars hold the sum of the levels, which is faster to sample.
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
