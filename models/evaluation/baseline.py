"""The baseline: a generator alone, rendered for every frame, without caches and warps.

The paper calls it DNR++. A variant gets two frames' features at once, this one's and an older
one's: what a network can make of time without being told what moved.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.avatar.folder import Avatar, load_avatar
from models.avatar.manifest import AvatarError, load_manifest
from models.contract.channels import COLOUR_CHANNELS, OUTPUT_CHANNELS
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage as Pixels
from models.data.samples import Sample, SamplePair, collate
from models.evaluation.evaluation import Baseline
from models.geometry.head import HeadError, load_head
from models.networks.avatar_networks import (
    FullRender,
    NetworkConfig,
    Networks,
    PaperNetworks,
    TelewarpNetworks,
)
from models.networks.frame_batch import FrameBatch
from models.networks.generator import Generator, UpsampledConv
from models.networks.telewarp import Foreground
from models.runtime.base import Stage
from models.runtime.renderer import CachedRenderer
from models.training.losses import ImageLoss, LossWeights, texture_loss
from models.training.objective import (
    AgedPair,
    Losses,
    Objective,
    Scores,
    ValidationResult,
    as_float,
    autocast,
)

FrameCount = Literal[1, 2]
"""Frames whose features the generator gets."""

_FILE = "baseline.json"
"""In the folder of a two-frame baseline, which no renderer but this file's can show."""


class TwoFrameTelewarp(TelewarpNetworks):
    """Our generator with two frames' live inputs.

    Args:
        config: What it looks like but for its inputs.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        del self.warper
        channels = 2 * _in_channels(self.generator.unet)
        self.generator.unet = Generator(
            channels,
            config.network_size,
            first=lambda i, o: torch.nn.Conv2d(i, o, 3, padding=1),
            last=lambda i: torch.nn.Conv2d(i, 4 * OUTPUT_CHANNELS, 3, padding=1),
            normalize=False,
        )

    def full_of_two(self, older: FrameBatch, now: FrameBatch) -> FullRender:
        """Render frame `now`; it leaves no cache."""
        inputs, past = self.inputs(now), self.inputs(older)
        made = self.generator.unet(torch.cat([inputs.half_res, past.half_res], dim=1)).output
        picture = self.generator.paint_over(made, inputs)
        return FullRender(picture, None, inputs.paint[:, :COLOUR_CHANNELS])


class TwoFramePaper(PaperNetworks):
    """The paper's generator with two frames' texture features.

    Args:
        config: What it looks like but for its inputs.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        del self.warper
        channels = 2 * _in_channels(self.generator.unet)
        self.generator.unet = Generator(
            channels,
            config.network_size,
            first=lambda i, o: torch.nn.Conv2d(i, o, 4, 2, 1),
            last=lambda i: UpsampledConv(i, 4),
            normalize=True,
        )

    def full_of_two(self, older: FrameBatch, now: FrameBatch) -> FullRender:
        """Render frame `now`; it leaves no cache."""
        features, past = self.features(now), self.features(older)
        made = self.generator.unet(torch.cat([features, past], dim=1)).output
        picture = self.denormalize(made[:, :3], made[:, 3:])
        return FullRender(picture, None, features[:, :COLOUR_CHANNELS])


TwoFrameNetworks = TwoFrameTelewarp | TwoFramePaper


def build_two_frame_networks(config: NetworkConfig) -> TwoFrameNetworks:
    """Two-frame networks with fresh random weights.

    Raises:
        ValueError: If they are to be told FLAME's numbers.
    """
    if config.numbers == "flame":
        raise ValueError("two-frame networks take our numbers only, got 'flame'")
    return TwoFrameTelewarp(config) if config.variant == "live" else TwoFramePaper(config)


class BaselineObjective(Objective):
    """A full render of every frame; both frames of a pair teach it.

    Args:
        networks: To be trained. The warp stays as it is.
        weights: How much each part of the loss counts; the picture counts once.
        mixed_precision: Whether networks run in bfloat16 where that is safe.
        vgg16: A trained distance of pictures, if there is one.
    """

    def __init__(
        self,
        networks: Networks,
        weights: LossWeights,
        mixed_precision: bool,
        vgg16: torch.nn.Module | None = None,
    ) -> None:
        super().__init__(networks)
        self.vgg16 = vgg16
        self._weights, self._mixed_precision = weights, mixed_precision
        self._picture_loss = ImageLoss(weights, vgg16)
        if not isinstance(networks, TwoFrameNetworks):
            networks.warper.requires_grad_(False)

    def forward(self, pair: SamplePair) -> Losses:
        """The losses of the pictures and of the texture."""
        with autocast(pair.now.truth.rgb.device, self._mixed_precision):
            made, shown = self._render(pair)
        texture = texture_loss(made.colour.float(), shown.truth)
        return {
            "full": self._picture_loss(as_float(made.image), shown.truth),
            "texture": self._weights.texture * texture,
        }

    def _render(self, pair: SamplePair) -> tuple[FullRender, Sample]:
        """What is made, and of what."""
        if isinstance(self.networks, TwoFrameNetworks):
            return self.networks.full_of_two(pair.cached.frame, pair.now.frame), pair.now
        both = collate(pair)
        return self.networks.full(both.frame), both

    @torch.no_grad()
    def validate(self, networks: Networks, pairs: Sequence[AgedPair]) -> ValidationResult:
        """PSNR and SSIM; rows show truth and picture."""
        scores, rows = Scores(), []
        for _, (older, now) in pairs:
            picture = _full(networks, older.frame, now.frame).over(now.truth.background)
            scores.add(("full",), picture, now.truth.rgb)
            rows.append(torch.cat([now.truth.rgb, picture], dim=3).clamp(0, 1))
        metrics = scores.means()
        return ValidationResult(metrics, metrics["full_psnr"], torch.cat(rows))


def _full(networks: Networks, older: FrameBatch, now: FrameBatch) -> Foreground:
    if isinstance(networks, TwoFrameNetworks):
        return networks.full_of_two(older, now).image
    return networks.full(now).image


def _in_channels(unet: Generator) -> int:
    first = unet.down[0]
    assert isinstance(first, torch.nn.Conv2d)
    return first.in_channels


class OneFrameBaseline:
    """An avatar's full renders, by the renderer that serves them.

    Args:
        avatar: The avatar; it may have been trained with a warp or without.
        device: Where to render.
    """

    def __init__(self, avatar: Avatar, device: str) -> None:
        self._renderer = CachedRenderer(avatar, device)
        self.size = avatar.manifest.resolution

    def picture(self, state: FrameState, previous: FrameState) -> Pixels:
        """The full render of `state`."""
        return self._renderer.full(state)


class TwoFrameBaseline:
    """Renders from two frames, in plain torch and float32.

    Args:
        avatar: With two-frame networks.
        device: Where to render.
    """

    def __init__(self, avatar: Avatar, device: str) -> None:
        assert isinstance(avatar.networks, TwoFrameNetworks)
        self._stage = Stage(avatar, torch.device(device))
        self._networks = avatar.networks.to(device)
        self.size = avatar.manifest.resolution

    @torch.inference_mode()
    def picture(self, state: FrameState, previous: FrameState) -> Pixels:
        """The picture of `state`, with `previous` beside it."""
        older, now = self._stage.frame(previous), self._stage.frame(state)
        return self._stage.compose(self._networks.full_of_two(older, now).image)


def mark_baseline(folder: Path, frames: FrameCount) -> None:
    """Say in an avatar folder that its networks take so many frames."""
    (folder / _FILE).unlink(missing_ok=True)
    if frames == 2:
        (folder / _FILE).write_text(json.dumps({"frames": frames}) + "\n")


def load_baseline(folder: Path, device: str) -> Baseline:
    """Load what `scripts/train_baseline.py` left; any avatar will do, whose full render it is then.

    Raises:
        AvatarError: If the folder is not what it should be; the message says why.
    """
    if not (folder / _FILE).exists():
        return OneFrameBaseline(load_avatar(folder), device)
    manifest = load_manifest(folder)
    networks = build_two_frame_networks(manifest.network)
    size = (manifest.resolution, manifest.resolution)
    try:
        head = load_head(folder / "head.npz")
        with Image.open(folder / "background.png") as file:
            background = np.array(file.convert("RGB").resize(size, Image.Resampling.LANCZOS))
        state = load_file(folder / "weights.safetensors")
        networks.load_state_dict({name: value.float() for name, value in state.items()})
    except (OSError, SafetensorError, RuntimeError, HeadError, UnidentifiedImageError) as exc:
        raise AvatarError(f"{folder} is not a two-frame baseline: {exc}") from exc
    networks.eval().requires_grad_(False)
    return TwoFrameBaseline(Avatar(manifest, head, networks, background), device)
