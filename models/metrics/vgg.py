"""VGG16's features from weights that the user brings, and what is built on them.

The file is a state dict as torchvision's: `features.N.weight` and `features.N.bias` of the thirteen
convolutions. No weights come with the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of each convolution; a pooling stands between blocks."""
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Statistics of the pictures that the weights were trained on."""


class WeightsError(ValueError):
    """A file of trained weights is not what it should be."""


class Vgg16(nn.Module):
    """The convolutions of VGG16 (Simonyan and Zisserman 2015, configuration D), frozen.

    Args:
        blocks: How many of the five blocks to build.
    """

    def __init__(self, blocks: int = len(BLOCKS)) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        """Keyed by torchvision's layer numbers, so that its state dict fits."""
        self._blocks: list[list[str]] = []
        channels, number = 3, 0
        for widths in BLOCKS[:blocks]:
            names = []
            for width in widths:
                self.features[str(number)] = nn.Conv2d(channels, width, 3, padding=1)
                names.append(str(number))
                channels, number = width, number + 2  # a ReLU has a number too
            self._blocks.append(names)
            number += 1  # and so has a pooling
        self.requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The features after each block's last ReLU.

        Args:
            pictures: (B, 3, H, W), normalised; at least 16 pixels a side.

        Returns:
            (B, C, H / 2^i, W / 2^i) of each block i.
        """
        x, made = pictures, []
        for index, names in enumerate(self._blocks):
            if index:
                x = F.max_pool2d(x, 2)
            for name in names:
                x = F.relu(self.features[name](x))
            made.append(x)
        return made


class Vgg16Perceptual(nn.Module):
    """How far apart two pictures are to VGG16: L1 of the features of its first four blocks.

    Args:
        vgg: At least four blocks.
        size: Pictures are resized to this many pixels a side, as the weights know them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, vgg: Vgg16, size: int = 224) -> None:
        super().__init__()
        self.vgg, self.size = vgg, size
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, picture: Tensor, truth: Tensor) -> Tensor:
        """Mean distance (a scalar) of (B, 3, H, W) pictures in 0..1."""
        both = (torch.cat([picture, truth]) - self.mean) / self.deviation
        size = (self.size, self.size)
        both = F.interpolate(both, size, mode="bilinear", align_corners=False)
        made = [features.chunk(2) for features in self.vgg(both)[:4]]
        return torch.stack([(ours - theirs).abs().mean() for ours, theirs in made]).sum()


class Lpips(nn.Module):
    """LPIPS 0.1 with VGG16 (Zhang et al. 2018): weighted distances of unit feature vectors.

    Args:
        vgg: All five blocks.
        weights: (C,) of each block, as published.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, vgg: Vgg16, weights: list[Tensor]) -> None:
        super().__init__()
        self.vgg = vgg
        self.weights = nn.ParameterList(nn.Parameter(w, requires_grad=False) for w in weights)
        # As published: for pictures in -1..1.
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        self.register_buffer("shift", shift[:, None, None], persistent=False)
        self.register_buffer("scale", scale[:, None, None], persistent=False)

    def forward(self, picture: Tensor, truth: Tensor) -> Tensor:
        """(B,) distances of (B, 3, H, W) pictures in 0..1; 0 where equal."""
        both = (torch.cat([picture, truth]) * 2 - 1 - self.shift) / self.scale
        total = picture.new_zeros(len(picture))
        for features, weight in zip(self.vgg(both), self.weights, strict=True):
            length = features.square().sum(dim=1, keepdim=True).sqrt()
            ours, theirs = (features / (length + 1e-10)).chunk(2)
            apart = (ours - theirs).square() * weight[:, None, None]
            total = total + apart.sum(dim=1).mean(dim=(1, 2))
        return total


def load_vgg16(path: Path, blocks: int = len(BLOCKS)) -> Vgg16:
    """Load VGG16's convolutions from torchvision's layout; its classifier is ignored.

    Args:
        path: `.pth` or `.pt` (a state dict), or `.safetensors`.
        blocks: How many blocks are needed.

    Raises:
        WeightsError: If the file is unreadable, or weights are missing or of another shape; the
            message names them.
    """
    vgg = Vgg16(blocks)
    vgg.load_state_dict(_checked(path, _read(path), vgg.state_dict()))
    return vgg.eval()


def load_lpips(vgg16: Path, heads: Path) -> Lpips:
    """Load LPIPS from VGG16's weights and the published weights of its five heads.

    Args:
        vgg16: As `load_vgg16` takes.
        heads: `vgg.pth` of LPIPS 0.1: `linN.model.1.weight` (1, C, 1, 1), N = 0..4.

    Raises:
        WeightsError: As `load_vgg16`.
    """
    expected = {
        f"lin{index}.model.1.weight": torch.empty(1, widths[-1], 1, 1)
        for index, widths in enumerate(BLOCKS)
    }
    weights = _checked(heads, _read(heads), expected)
    return Lpips(load_vgg16(vgg16), [weight.flatten() for weight in weights.values()]).eval()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as exc:
        raise WeightsError(f"{path} is not a readable weights file: {exc}") from exc
    except (RuntimeError, UnpicklingError, SafetensorError, EOFError) as exc:
        # torch's own message advises to load it unsafely.
        raise WeightsError(
            f"{path} is not a readable weights file: it must be a state dict saved by torch, or "
            "safetensors"
        ) from exc
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path} must hold a state dict, got {type(state).__name__}")
    return state


def _checked(
    path: Path, state: Mapping[str, Any], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The expected tensors, float32, once all are there and of the right shape."""
    missing = [name for name in expected if not isinstance(state.get(name), Tensor)]
    if missing:
        raise WeightsError(f"{path} lacks {', '.join(missing)}")
    for name, like in expected.items():
        if state[name].shape != like.shape:
            raise WeightsError(
                f"{path}: {name} must be {tuple(like.shape)}, got {tuple(state[name].shape)}"
            )
    return {name: state[name].float() for name in expected}
