"""The networks of one avatar, composed: texture, generator and warp, ours or the paper's.

`build_networks` is the recipe. Both kinds answer the same two questions: a full render of a frame,
and a warp of an older frame's cache to a new frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from models.contract.channels import CAMERA_SIZE, COLOUR_CHANNELS, POSE_SIZE
from models.networks.conditioning import Conditioning, split_conditioning
from models.networks.frame_batch import FrameBatch
from models.networks.paper import PaperCache, PaperGenerator, PaperWarp
from models.networks.reproject import find_source_positions
from models.networks.telewarp import (
    LIVE_INPUTS,
    PAINT,
    Foreground,
    LiveInput,
    LiveInputs,
    TelewarpCache,
    TelewarpGenerator,
    TelewarpWarp,
    covered,
    live_channels,
    live_inputs,
)
from models.networks.texture import NeuralTexture, harmonic_scale

Variant = Literal["live", "paper"]
Numbers = Literal["ours", "flame"]

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_DEVIATION = (0.229, 0.224, 0.225)
"""What the paper's pictures are normalised by (its default data set statistics)."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What the networks of an avatar look like."""

    variant: Variant = "live"
    """Our networks, or the paper's own."""
    network_size: float = 0.25
    """n: channels grow with it."""
    texture_channels: int = 16
    texture_size: int = 512
    """Texels a side of the finest level."""
    feature_size: int = 256
    """Ours: the same of the feature texture; `texture_size` is that of the paint."""
    texture_levels: int = 4
    live_inputs: tuple[LiveInput, ...] = LIVE_INPUTS
    """Ours: what the warp's convolutions are shown of the present frame."""
    expressions: int = 52
    """E: expression coefficients of the head."""
    numbers: Numbers = "ours"
    """Conditioning of a frame: ours (`models/networks/conditioning.py`), or FLAME's as in the paper
    (`FlamePaperNetworks`; the paper's networks only)."""


class FullRender(NamedTuple):
    """A full render."""

    image: Foreground
    cache: Any
    """Features for `AvatarNetworks.warp` of the same networks."""
    colour: Tensor
    """(B, 3, H, W) the texture's colour channels, trained to look like the picture."""


class AvatarNetworks(Protocol):
    """What both kinds of networks offer."""

    config: NetworkConfig

    @property
    def textures(self) -> tuple[NeuralTexture, ...]:
        """All neural textures."""

    def full(self, frame: FrameBatch) -> FullRender:
        """Render a frame anew."""

    def warp(self, cache: Any, cached: FrameBatch, now: FrameBatch) -> Foreground:
        """Make frame `now` from the cache of frame `cached`; the plain form."""


class TelewarpNetworks(nn.Module):
    """Our networks (`networks/live.py`)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.features = NeuralTexture(
            config.texture_channels, config.feature_size, config.texture_levels
        )
        self.paint = NeuralTexture(PAINT, config.texture_size, config.texture_levels)
        channels = live_channels(config.texture_channels)
        self.generator = TelewarpGenerator(channels, config.network_size)
        self.warper = TelewarpWarp(
            channels, config.network_size, config.expressions, config.live_inputs
        )

    @property
    def textures(self) -> tuple[NeuralTexture, ...]:
        """Features and paint."""
        return self.features, self.paint

    def inputs(self, frame: FrameBatch) -> LiveInputs:
        """What both networks see of a frame."""
        view = frame.conditioning.pose[:, :3]
        features, paint = self.features.texels(), self.paint.texels()
        return live_inputs(features, paint, frame.uv, frame.surface, view)

    def full(self, frame: FrameBatch) -> FullRender:
        inputs = self.inputs(frame)
        picture, cache = self.generator(inputs)
        return FullRender(picture, cache, inputs.paint[:, :COLOUR_CHANNELS])

    def warp(self, cache: TelewarpCache, cached: FrameBatch, now: FrameBatch) -> Foreground:
        numbers, older = now.conditioning, cached.conditioning
        prepared, inputs = self.warper.prepare(cache, older), self.inputs(now)
        carried = self.warper.reproject(
            prepared, self.source_positions(cached, now), numbers, older
        )
        smooth = self.warper(carried, inputs, numbers, older)
        picture: Foreground = self.generator.paint_over(smooth, inputs)
        return picture

    def source_positions(self, cached: FrameBatch, now: FrameBatch) -> Tensor:
        """(B, H/2, W/2, 2) where in frame `cached` the surface points of frame `now` were."""
        if cached.mesh is None or now.mesh is None:
            raise ValueError("our warp needs to know the mesh of both frames")
        return find_source_positions(now.mesh, cached.mesh.points, cached.mesh.origin)


class PaperNetworks(nn.Module):
    """The paper's networks (`networks/paper.py`).

    Args:
        config: What they look like.
        expressions: Expression coefficients that the warp is told; the head's by default.
        camera: Camera numbers that the warp is told.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, config: NetworkConfig, expressions: int | None = None, camera: int = CAMERA_SIZE
    ) -> None:
        super().__init__()
        self.config = config
        told = config.expressions if expressions is None else expressions
        self.texture = NeuralTexture(
            config.texture_channels, config.texture_size, config.texture_levels
        )
        self.generator = PaperGenerator(config.texture_channels, config.network_size)
        self.warper = PaperWarp(config.network_size, POSE_SIZE, camera, told)
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN)[:, None, None], persistent=False)
        deviation = torch.tensor(IMAGE_DEVIATION)[:, None, None]
        self.register_buffer("deviation", deviation, persistent=False)

    @property
    def textures(self) -> tuple[NeuralTexture, ...]:
        """The only one."""
        return (self.texture,)

    @property
    def conditioning_size(self) -> int:
        """K of a frame's numbers."""
        return POSE_SIZE + CAMERA_SIZE + self.config.expressions

    def split_conditioning(self, numbers: Tensor) -> Conditioning:
        """Name the parts of (B, K) numbers as the warp takes them."""
        return split_conditioning(numbers)

    def features(self, frame: FrameBatch) -> Tensor:
        """(B, C, H, W) texture features, scaled by the harmonics of the view, 0 off the head."""
        scale = harmonic_scale(frame.conditioning.pose[:, :3], self.texture.channels)
        texture: Tensor = self.texture(frame.uv)
        return texture * scale[..., None, None] * covered(frame.surface)

    def full(self, frame: FrameBatch) -> FullRender:
        features = self.features(frame)
        made = self.generator(features)
        picture = self.denormalize(made.rgb, made.mask_logit)
        return FullRender(picture, made.cache, features[:, :COLOUR_CHANNELS])

    def warp(self, cache: PaperCache, cached: FrameBatch, now: FrameBatch) -> Foreground:
        change = (now.uv - cached.uv).permute(0, 3, 1, 2)
        numbers = (
            self.split_conditioning(now.conditioning_vector),
            self.split_conditioning(cached.conditioning_vector),
        )
        return self.denormalize(*self.warper(cache, change, *numbers))

    def denormalize(self, rgb: Tensor, mask_logit: Tensor) -> Foreground:
        """Undo the normalisation of the networks' colours."""
        return Foreground(rgb * self.deviation + self.mean, mask_logit)


FLAME_EXPRESSIONS = 50
FLAME_CONDITIONING_SIZE = POSE_SIZE + CAMERA_SIZE + FLAME_EXPRESSIONS
"""Pose 6 (turn of the head, turn of the jaw: rotation vectors), weak-perspective camera 3 (scale,
shift right, shift up), expression 50."""


class FlamePaperNetworks(PaperNetworks):
    """The paper's networks, told FLAME's numbers as in the published code.

    Numbers are standardised by the training set's statistics, which are kept with the weights. The
    texture's harmonics follow the camera. Texture is looked up off the head too, at UV 0: so the
    published weights were trained.
    """

    numbers_mean: Tensor
    numbers_deviation: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, FLAME_EXPRESSIONS, camera=2)
        self.register_buffer("numbers_mean", torch.zeros(FLAME_CONDITIONING_SIZE))
        self.register_buffer("numbers_deviation", torch.ones(FLAME_CONDITIONING_SIZE))

    @torch.no_grad()
    def standardize_by(self, mean: Tensor, deviation: Tensor) -> None:
        """Take the training set's mean and deviation (59,) of all numbers."""
        self.numbers_mean.copy_(mean)
        self.numbers_deviation.copy_(deviation)

    @property
    def conditioning_size(self) -> int:
        return FLAME_CONDITIONING_SIZE

    def split_conditioning(self, numbers: Tensor) -> Conditioning:
        standard = (numbers - self.numbers_mean) / self.numbers_deviation
        camera = standard[:, POSE_SIZE : POSE_SIZE + 2]
        return Conditioning(standard[:, :POSE_SIZE], camera, standard[:, POSE_SIZE + CAMERA_SIZE :])

    def features(self, frame: FrameBatch) -> Tensor:
        camera = self.split_conditioning(frame.conditioning_vector).camera
        direction = torch.cat([camera, torch.ones_like(camera[:, :1])], dim=1)
        scale = harmonic_scale(direction, self.texture.channels)
        texture: Tensor = self.texture(frame.uv)
        return texture * scale[..., None, None]


Networks = TelewarpNetworks | PaperNetworks
"""The networks of any avatar."""


def build_networks(config: NetworkConfig) -> TelewarpNetworks | PaperNetworks:
    """Networks with fresh random weights.

    Raises:
        ValueError: If our networks are to be told FLAME's numbers.
    """
    if config.numbers == "flame":
        if config.variant != "paper":
            raise ValueError("numbers 'flame' are for the variant 'paper', got 'live'")
        return FlamePaperNetworks(config)
    return TelewarpNetworks(config) if config.variant == "live" else PaperNetworks(config)
