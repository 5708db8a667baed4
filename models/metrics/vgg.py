"""VGG16 features, and the perceptual distances computed from them.

The user supplies the weights: a state dict in torchvision's layout, `features.N.weight` and
`features.N.bias` of the thirteen convolutions. No weights come with the project.
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
"""Output channels of each convolution; max pooling separates the blocks."""
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's RGB values, which the weights were trained with."""


class WeightsError(ValueError):
    """A file of trained weights is unreadable, incomplete or of other shapes."""


class Vgg16(nn.Module):
    """The convolutions of VGG16 (Simonyan and Zisserman 2015, configuration D), frozen.

    Args:
        blocks: Number of blocks to build, 1 to 5.
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
                channels, number = width, number + 2  # torchvision numbers the ReLU too
            self._blocks.append(names)
            number += 1  # and the pooling layer
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the features after the last ReLU of each block.

        Args:
            images: (B, 3, H, W), standardized; at least 16 pixels high and wide.

        Returns:
            (B, C, H / 2^i, W / 2^i) for each block i.
        """
        x, outputs = images, []
        for index, names in enumerate(self._blocks):
            if index:
                x = F.max_pool2d(x, 2)
            for name in names:
                x = F.relu(self.features[name](x))
            outputs.append(x)
        return outputs


class Vgg16Perceptual(nn.Module):
    """Perceptual distance: L1 of the features of VGG16's first four blocks.

    Args:
        vgg: Network with at least four blocks.
        size: Images are resized to size x size pixels; the weights were trained at 224.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, vgg: Vgg16, size: int = 224) -> None:
        super().__init__()
        self.vgg, self.size = vgg, size
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, image: Tensor, truth: Tensor) -> Tensor:
        """Return the mean distance, a scalar, of images (B, 3, H, W) in 0..1."""
        both = (torch.cat([image, truth]) - self.mean) / self.deviation
        size = (self.size, self.size)
        both = F.interpolate(both, size, mode="bilinear", align_corners=False)
        pairs = [features.chunk(2) for features in self.vgg(both)[:4]]
        return torch.stack([(ours - theirs).abs().mean() for ours, theirs in pairs]).sum()


class Lpips(nn.Module):
    """LPIPS 0.1 with VGG16 (Zhang et al. 2018): weighted distances of unit feature vectors.

    Args:
        vgg: Network with all five blocks.
        weights: Published weights (C,) of each block's channels.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, vgg: Vgg16, weights: list[Tensor]) -> None:
        super().__init__()
        self.vgg = vgg
        self.weights = nn.ParameterList(nn.Parameter(w, requires_grad=False) for w in weights)
        # The published implementation standardizes images in -1..1 with these values.
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        self.register_buffer("shift", shift[:, None, None], persistent=False)
        self.register_buffer("scale", scale[:, None, None], persistent=False)

    def forward(self, image: Tensor, truth: Tensor) -> Tensor:
        """Return the distances (B,) of images (B, 3, H, W) in 0..1; 0 for equal images."""
        both = (torch.cat([image, truth]) * 2 - 1 - self.shift) / self.scale
        total = image.new_zeros(len(image))
        for features, weight in zip(self.vgg(both), self.weights, strict=True):
            length = features.square().sum(dim=1, keepdim=True).sqrt()
            ours, theirs = (features / (length + 1e-10)).chunk(2)
            squared = (ours - theirs).square() * weight[:, None, None]
            total = total + squared.sum(dim=1).mean(dim=(1, 2))
        return total


def load_vgg16(path: Path, blocks: int = len(BLOCKS)) -> Vgg16:
    """Load VGG16's convolutions from torchvision's layout; the classifier is ignored.

    Args:
        path: `.pth` or `.pt` (a state dict), or `.safetensors`.
        blocks: Number of blocks to load.

    Raises:
        WeightsError: If the file is unreadable, or weights are missing or of another shape.
    """
    vgg = Vgg16(blocks)
    vgg.load_state_dict(_checked(path, _read(path), vgg.state_dict()))
    return vgg.eval()


def load_lpips(vgg16: Path, heads: Path) -> Lpips:
    """Load LPIPS from VGG16's weights and the published weights of its five heads.

    Args:
        vgg16: File of VGG16's weights, see `load_vgg16`.
        heads: `vgg.pth` of LPIPS 0.1: `linN.model.1.weight` (1, C, 1, 1), N = 0..4.

    Raises:
        WeightsError: If a file is unreadable, or weights are missing or of another shape.
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
        # Not torch's own message: it advises to load the file with pickle, which runs code.
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
    """Return the expected tensors as float32, after checking that all exist with these shapes."""
    missing = [name for name in expected if not isinstance(state.get(name), Tensor)]
    if missing:
        raise WeightsError(f"{path} lacks {', '.join(missing)}")
    for name, like in expected.items():
        if state[name].shape != like.shape:
            raise WeightsError(
                f"{path}: {name} must be {tuple(like.shape)}, got {tuple(state[name].shape)}"
            )
    return {name: state[name].float() for name in expected}
