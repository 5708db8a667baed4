"""The networks of one avatar, composed of texture, generator and warp: ours or the paper's.

`build_networks` builds them. Both kinds offer the same two operations: a full render of a frame,
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
from models.networks.live_inputs import (
    LIVE_INPUTS,
    PAINT,
    LiveInput,
    LiveInputs,
    covered,
    live_channels,
    live_inputs,
)
from models.networks.paper import PaperCache, PaperGenerator, PaperWarp
from models.networks.reproject import find_source_positions
from models.networks.telewarp import (
    Foreground,
    TelewarpCache,
    TelewarpGenerator,
    TelewarpWarp,
)
from models.networks.texture import NeuralTexture, harmonic_scale

Variant = Literal["live", "paper"]
ConditioningKind = Literal["ours", "flame"]

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_DEVIATION = (0.229, 0.224, 0.225)
"""Mean and deviation of RGB that the paper's networks normalise images by (ImageNet's)."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The configuration of an avatar's networks, stored in its manifest."""

    variant: Variant = "live"
    """Our networks (`live`) or the paper's."""
    network_size: float = 0.25
    """n: all channel counts are proportional to it."""
    texture_channels: int = 16
    """C of the (feature) texture."""
    texture_size: int = 512
    """Texels per side of the finest level; in our networks, of the paint texture."""
    feature_size: int = 256
    """Ours only: texels per side of the finest level of the feature texture."""
    texture_levels: int = 4
    """Levels of the Laplacian pyramid; 1 in saved avatars of ours."""
    live_inputs: tuple[LiveInput, ...] = LIVE_INPUTS
    """Ours only: groups of live inputs that the warp's convolutions use."""
    expressions: int = 52
    """E: expression coefficients of the head."""
    numbers: ConditioningKind = "ours"
    """Conditioning of a frame: ours (`networks/conditioning.py`), or FLAME's as in the published
    code (`FlamePaperNetworks`; the paper's networks only)."""


class FullRender(NamedTuple):
    """A full render of a batch of frames."""

    image: Foreground
    cache: Any
    """Cached features for `AvatarNetworks.warp` of the same networks."""
    colour: Tensor
    """(B, 3, H, W) colour channels of the texture, trained to look like the image."""


class AvatarNetworks(Protocol):
    """The interface of both kinds of networks."""

    config: NetworkConfig

    @property
    def textures(self) -> tuple[NeuralTexture, ...]:
        """All neural textures."""

    def full(self, frame: FrameBatch) -> FullRender:
        """Render a frame in full."""

    def warp(self, cache: Any, cached: FrameBatch, now: FrameBatch) -> Foreground:
        """Warp the cache of frame `cached` to frame `now`, without the split form's speed."""


class TelewarpNetworks(nn.Module):
    """Our networks (`networks/telewarp.py`).

    Args:
        config: Their configuration.
    """

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
        """The feature texture and the paint texture."""
        return self.features, self.paint

    def inputs(self, frame: FrameBatch) -> LiveInputs:
        """Return the live inputs of a frame, for generator and warp."""
        view = frame.conditioning.pose[:, :3]
        # The pyramids are added up once, so that every lookup reads one texture, as on the latency
        # path.
        features, paint = self.features.texels(), self.paint.texels()
        return live_inputs(features, paint, frame.uv, frame.surface, view, frame.blend)

    def full(self, frame: FrameBatch) -> FullRender:
        inputs = self.inputs(frame)
        image, cache = self.generator(inputs)
        return FullRender(image, cache, inputs.paint[:, :COLOUR_CHANNELS])

    def warp(self, cache: TelewarpCache, cached: FrameBatch, now: FrameBatch) -> Foreground:
        conditioning, older = now.conditioning, cached.conditioning
        prepared, inputs = self.warper.prepare(cache, older), self.inputs(now)
        positions = self.source_positions(cached, now)
        reprojected = self.warper.reproject(prepared, positions, conditioning, older)
        smooth = self.warper(reprojected, inputs, conditioning, older)
        image: Foreground = self.generator.paint_over(smooth, inputs)
        return image

    def source_positions(self, cached: FrameBatch, now: FrameBatch) -> Tensor:
        """Return where in frame `cached` the surface points of frame `now` were.

        Returns:
            (B, H/2, W/2, 2), see `find_source_positions`.

        Raises:
            ValueError: If a frame lacks its mesh.
        """
        if cached.mesh is None or now.mesh is None:
            raise ValueError("the warp needs the mesh of both frames, got None")
        return find_source_positions(now.mesh, cached.mesh.points, cached.mesh.origin)


class PaperNetworks(nn.Module):
    """The paper's networks (`networks/paper.py`).

    Args:
        config: Their configuration.
        expressions: Number of expression coefficients in the conditioning; the head's by default.
        camera: Number of camera parameters in the conditioning.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, config: NetworkConfig, expressions: int | None = None, camera: int = CAMERA_SIZE
    ) -> None:
        super().__init__()
        self.config = config
        count = config.expressions if expressions is None else expressions
        self.texture = NeuralTexture(
            config.texture_channels, config.texture_size, config.texture_levels
        )
        self.generator = PaperGenerator(config.texture_channels, config.network_size)
        self.warper = PaperWarp(config.network_size, POSE_SIZE, camera, count)
        self.register_buffer("mean", torch.tensor(IMAGE_MEAN)[:, None, None], persistent=False)
        deviation = torch.tensor(IMAGE_DEVIATION)[:, None, None]
        self.register_buffer("deviation", deviation, persistent=False)

    @property
    def textures(self) -> tuple[NeuralTexture, ...]:
        """The only texture."""
        return (self.texture,)

    @property
    def conditioning_size(self) -> int:
        """K, the length of a frame's conditioning vector."""
        return POSE_SIZE + CAMERA_SIZE + self.config.expressions

    def split_conditioning(self, vector: Tensor) -> Conditioning:
        """Split (B, K) conditioning vectors into the parts that the warp takes."""
        return split_conditioning(vector)

    def features(self, frame: FrameBatch) -> Tensor:
        """Return (B, C, H, W) texture features, scaled by the view's harmonics; 0 off the head."""
        scale = harmonic_scale(frame.conditioning.pose[:, :3], self.texture.channels)
        texture: Tensor = self.texture(frame.uv)
        return texture * scale[..., None, None] * covered(frame.surface)

    def full(self, frame: FrameBatch) -> FullRender:
        features = self.features(frame)
        made = self.generator(features)
        image = self.denormalize(made.rgb, made.mask_logit)
        return FullRender(image, made.cache, features[:, :COLOUR_CHANNELS])

    def warp(self, cache: PaperCache, cached: FrameBatch, now: FrameBatch) -> Foreground:
        # Pixel by pixel, without reprojection, as in the paper.
        change = (now.uv - cached.uv).permute(0, 3, 1, 2)
        conditioning = (
            self.split_conditioning(now.conditioning_vector),
            self.split_conditioning(cached.conditioning_vector),
        )
        return self.denormalize(*self.warper(cache, change, *conditioning))

    def denormalize(self, rgb: Tensor, mask_logit: Tensor) -> Foreground:
        """Undo the normalisation of colours by the training set's mean and deviation."""
        return Foreground(rgb * self.deviation + self.mean, mask_logit)


FLAME_EXPRESSIONS = 50
"""Expression coefficients in the published code's conditioning."""
FLAME_CONDITIONING_SIZE = POSE_SIZE + CAMERA_SIZE + FLAME_EXPRESSIONS
"""Pose 6 (rotation vectors of head and jaw), weak-perspective camera 3 (scale, shift right, shift
up), expression 50."""


class FlamePaperNetworks(PaperNetworks):
    """The paper's networks with FLAME's conditioning, as in the published code.

    The conditioning is standardised by the training set's statistics, which are stored with the
    weights. The texture's harmonics depend on the camera parameters. Pixels off the head look the
    texture up too, at UV 0, because the published weights were trained that way.

    Args:
        config: Their configuration.
    """

    numbers_mean: Tensor
    numbers_deviation: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, FLAME_EXPRESSIONS, camera=2)
        self.register_buffer("numbers_mean", torch.zeros(FLAME_CONDITIONING_SIZE))
        self.register_buffer("numbers_deviation", torch.ones(FLAME_CONDITIONING_SIZE))

    @torch.no_grad()
    def standardize_by(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the training set's mean and deviation (59,) of the conditioning."""
        self.numbers_mean.copy_(mean)
        self.numbers_deviation.copy_(deviation)

    @property
    def conditioning_size(self) -> int:
        return FLAME_CONDITIONING_SIZE

    def split_conditioning(self, vector: Tensor) -> Conditioning:
        standard = (vector - self.numbers_mean) / self.numbers_deviation
        # The published code gives the warp the first two camera parameters only.
        camera = standard[:, POSE_SIZE : POSE_SIZE + 2]
        return Conditioning(standard[:, :POSE_SIZE], camera, standard[:, POSE_SIZE + CAMERA_SIZE :])

    def features(self, frame: FrameBatch) -> Tensor:
        camera = self.split_conditioning(frame.conditioning_vector).camera
        # The published code sets the third parameter to 1.
        direction = torch.cat([camera, torch.ones_like(camera[:, :1])], dim=1)
        scale = harmonic_scale(direction, self.texture.channels)
        texture: Tensor = self.texture(frame.uv)
        return texture * scale[..., None, None]


Networks = TelewarpNetworks | PaperNetworks
"""The networks of any avatar."""


def build_networks(config: NetworkConfig) -> TelewarpNetworks | PaperNetworks:
    """Build networks with random weights.

    Raises:
        ValueError: If the configuration asks for our networks with FLAME's conditioning.
    """
    if config.numbers == "flame":
        if config.variant != "paper":
            raise ValueError("expected variant 'paper' for numbers 'flame', got 'live'")
        return FlamePaperNetworks(config)
    return TelewarpNetworks(config) if config.variant == "live" else PaperNetworks(config)
