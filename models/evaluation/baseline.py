"""The baseline: a generator that renders every frame in full, without caches and warps.

The paper calls it DNR++. A variant gets the features of two frames, the current and an older one:
it can use the time between them, but no correspondences.
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
from models.contract.images import RgbImage
from models.data.samples import Sample, SamplePair, collate
from models.evaluation.evaluation import Baseline
from models.geometry.head import HeadError
from models.geometry.head_file import load_head
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
from models.training.losses import texture_loss
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
"""Number of frames whose features are inputs of the generator."""

_FILE = "baseline.json"
"""File that marks the folder of a two-frame baseline, which the server cannot render."""


class TwoFrameTelewarp(TelewarpNetworks):
    """Our generator with the live inputs of two frames.

    Args:
        config: Configuration, apart from the input channels.
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

    def full_from_pair(self, older: FrameBatch, now: FrameBatch) -> FullRender:
        """Render frame `now` from both frames; the result has no cache."""
        inputs, past = self.inputs(now), self.inputs(older)
        made = self.generator.unet(torch.cat([inputs.half_res, past.half_res], dim=1)).output
        image = self.generator.paint_over(made, inputs)
        return FullRender(image, None, inputs.paint[:, :COLOUR_CHANNELS])


class TwoFramePaper(PaperNetworks):
    """The paper's generator with the texture features of two frames.

    Args:
        config: Configuration, apart from the input channels.
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

    def full_from_pair(self, older: FrameBatch, now: FrameBatch) -> FullRender:
        """Render frame `now` from both frames; the result has no cache."""
        features, past = self.features(now), self.features(older)
        made = self.generator.unet(torch.cat([features, past], dim=1)).output
        image = self.denormalize(made[:, :3], made[:, 3:])
        return FullRender(image, None, features[:, :COLOUR_CHANNELS])


TwoFrameNetworks = TwoFrameTelewarp | TwoFramePaper


def build_two_frame_networks(config: NetworkConfig) -> TwoFrameNetworks:
    """Build two-frame networks with random weights.

    Raises:
        ValueError: If the config asks for FLAME's conditioning.
    """
    if config.numbers == "flame":
        raise ValueError("expected two-frame networks with numbers 'ours', got 'flame'")
    return TwoFrameTelewarp(config) if config.variant == "live" else TwoFramePaper(config)


class BaselineObjective(Objective):
    """Trains the full render on both frames of a pair; the image has weight 1."""

    def _freeze(self) -> None:
        # The warp's weights get no gradient, which DistributedDataParallel would wait for.
        if not isinstance(self.networks, TwoFrameNetworks):
            self.networks.warper.requires_grad_(False)

    def forward(self, pair: SamplePair) -> Losses:
        """Compute the losses of images and texture."""
        with autocast(pair.now.truth.rgb.device, self._mixed_precision):
            render, sample = self._render(pair)
        texture = texture_loss(render.colour.float(), sample.truth)
        return {
            "full": self._image_loss(as_float(render.image), sample.truth),
            "texture": self._weights.texture * texture,
        }

    def _render(self, pair: SamplePair) -> tuple[FullRender, Sample]:
        """Return the full render and the sample that it is compared with."""
        if isinstance(self.networks, TwoFrameNetworks):
            return self.networks.full_from_pair(pair.cached.frame, pair.now.frame), pair.now
        # Every frame is a full render, so both frames of the pair are samples.
        both = collate(pair)
        return self.networks.full(both.frame), both

    @torch.no_grad()
    def validate(self, networks: Networks, pairs: Sequence[AgedPair]) -> ValidationResult:
        """Compute PSNR and SSIM; rows show truth and image."""
        scores, rows = Scores(), []
        for _, (older, now) in pairs:
            image = _full(networks, older.frame, now.frame).over(now.truth.background)
            scores.add(("full",), image, now.truth.rgb)
            rows.append(torch.cat([now.truth.rgb, image], dim=3).clamp(0, 1))
        metrics = scores.means()
        return ValidationResult(metrics, metrics["full_psnr"], torch.cat(rows))


def _full(networks: Networks, older: FrameBatch, now: FrameBatch) -> Foreground:
    if isinstance(networks, TwoFrameNetworks):
        return networks.full_from_pair(older, now).image
    return networks.full(now).image


def _in_channels(unet: Generator) -> int:
    first = unet.down[0]
    assert isinstance(first, torch.nn.Conv2d)
    return first.in_channels


class OneFrameBaseline:
    """Full renders of an avatar by the renderer that serves it.

    Args:
        avatar: Any avatar, trained with or without its warp.
        device: PyTorch device.
    """

    def __init__(self, avatar: Avatar, device: str) -> None:
        self._renderer = CachedRenderer(avatar, device)
        self.size = avatar.manifest.resolution

    def image(self, state: FrameState, previous: FrameState) -> RgbImage:
        """Return the full render of `state`; `previous` is not used."""
        return self._renderer.full(state)


class TwoFrameBaseline:
    """Renders from two frames with unfused float32 networks.

    Args:
        avatar: Avatar with two-frame networks.
        device: PyTorch device.
    """

    def __init__(self, avatar: Avatar, device: str) -> None:
        assert isinstance(avatar.networks, TwoFrameNetworks)
        self._stage = Stage(avatar, torch.device(device))
        self._networks = avatar.networks.to(device)
        self.size = avatar.manifest.resolution

    @torch.inference_mode()
    def image(self, state: FrameState, previous: FrameState) -> RgbImage:
        """Render `state` from the features of `state` and `previous`."""
        older, now = self._stage.frame(previous), self._stage.frame(state)
        return self._stage.compose(self._networks.full_from_pair(older, now).image)


def mark_baseline(folder: Path, frames: FrameCount) -> None:
    """Record in an avatar folder how many frames are inputs of its networks."""
    (folder / _FILE).unlink(missing_ok=True)
    if frames == 2:
        (folder / _FILE).write_text(json.dumps({"frames": frames}) + "\n")


def load_baseline(folder: Path, device: str) -> Baseline:
    """Load a baseline trained by `scripts/train_baseline.py`, or the full render of any avatar.

    Raises:
        AvatarError: If the folder is incomplete or damaged.
    """
    if not (folder / _FILE).exists():
        return OneFrameBaseline(load_avatar(folder), device)
    manifest = load_manifest(folder)
    networks = build_two_frame_networks(manifest.network)
    size = (manifest.resolution, manifest.resolution)
    try:
        head = load_head(folder / "head.npz")
        # `load_avatar` does not know two-frame networks; this reads the same files.
        with Image.open(folder / "background.png") as file:
            background = np.array(file.convert("RGB").resize(size, Image.Resampling.LANCZOS))
        state = load_file(folder / "weights.safetensors")
        networks.load_state_dict({name: value.float() for name, value in state.items()})
    except (OSError, SafetensorError, RuntimeError, HeadError, UnidentifiedImageError) as exc:
        raise AvatarError(f"{folder} is not a two-frame baseline: {exc}") from exc
    networks.eval().requires_grad_(False)
    return TwoFrameBaseline(Avatar(manifest, head, networks, background), device)
