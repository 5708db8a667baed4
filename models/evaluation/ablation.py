"""Ablation of the warp: train and measure variants of it with the same frozen generator.

All variants train on the same pairs from the same initial weights; they differ in their inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.data.samples import SamplePair, image_tensor
from models.evaluation.evaluation import HeldOutFrame
from models.metrics.image_quality import psnr, ssim
from models.networks.avatar_networks import FullRender, TelewarpNetworks
from models.networks.frame_batch import FrameBatch
from models.networks.live_inputs import LIVE_INPUTS, LiveInput, LiveInputs, live_channels
from models.networks.reproject import find_source_positions, own_source_positions
from models.networks.telewarp import Foreground, TelewarpWarp
from models.runtime.base import Stage
from models.training.losses import ImageLoss, LossWeights
from models.training.objective import as_float, autocast
from models.training.optimizer import Rates


@dataclass(frozen=True, slots=True)
class WarpVariant:
    """Configuration of a warp."""

    name: str
    inputs: tuple[LiveInput, ...] = LIVE_INPUTS
    """Live inputs of its convolutions, besides the change of the UV map."""
    reprojects: bool = True
    """Whether cached features are reprojected along the surface."""
    residual: bool = True
    """Whether it gets the residual of the cached frame."""


VARIANTS = (
    WarpVariant("inputs of the paper's warp: cache, UV change", (), False, False),
    WarpVariant("+ texture of the new frame", ("texture",), False, False),
    WarpVariant("+ normals, reflection vectors", LIVE_INPUTS, False, False),
    WarpVariant("+ cache reprojected by the mesh", LIVE_INPUTS, True, False),
    WarpVariant("+ residual, reprojected as well: ours", LIVE_INPUTS, True, True),
    WarpVariant("ours, without reprojection", LIVE_INPUTS, False, True),
)


class VariantWarp(nn.Module):
    """A warp of a variant.

    Args:
        networks: Networks whose generator it uses and whose warp initializes it; not changed.
        variant: Configuration of the warp.
    """

    def __init__(self, networks: TelewarpNetworks, variant: WarpVariant) -> None:
        super().__init__()
        self.variant, config = variant, networks.config
        self.paint_over = networks.generator.paint_over
        channels = live_channels(config.texture_channels)
        self.warper = TelewarpWarp(
            channels, config.network_size, config.expressions, variant.inputs
        )
        # Unused live inputs are masked, so the weights of the full warp fit every variant.
        self.warper.load_state_dict(networks.warper.state_dict())

    def forward(
        self, full: FullRender, cached: FrameBatch, now: FrameBatch, inputs: LiveInputs
    ) -> Foreground:
        """Warp the cache of frame `cached` to frame `now`.

        Args:
            full: Full render of `cached`, with its cache.
            cached: The older frame.
            now: The newer frame.
            inputs: Live inputs of `now`.
        """
        numbers, older = now.conditioning, cached.conditioning
        prepared = self.warper.prepare(full.cache, older)
        if not self.variant.residual:
            # Zeros instead of another architecture: the number of weights stays the same.
            prepared = prepared._replace(residual=torch.zeros_like(prepared.residual))
        assert now.mesh is not None
        assert cached.mesh is not None
        if self.variant.reprojects:
            positions = find_source_positions(now.mesh, cached.mesh.points, cached.mesh.origin)
        else:
            positions = own_source_positions(now.mesh, cached.mesh.origin)
        reprojected = self.warper.reproject(prepared, positions, numbers, older)
        image: Foreground = self.paint_over(
            self.warper(reprojected, inputs, numbers, older), inputs
        )
        return image


def train_variants(
    networks: TelewarpNetworks,
    warps: Sequence[VariantWarp],
    pairs: Iterator[SamplePair],
    steps: int,
    rates: Rates,
) -> Iterator[list[float]]:
    """Train all warps on the same pairs.

    Args:
        networks: Networks of the full render, which are frozen.
        warps: Warps to train.
        pairs: Training pairs.
        steps: Number of steps.
        rates: Learning rate, schedule and clipping.

    Yields:
        The losses of the warps, after each step.
    """
    networks.requires_grad_(False)
    loss_of = ImageLoss(LossWeights())
    optimizers = [torch.optim.Adam(warp.warper.parameters()) for warp in warps]
    for step in range(steps):
        cached, now = next(pairs)
        with torch.no_grad(), autocast(cached.truth.rgb.device, True):
            full, inputs = networks.full(cached.frame), networks.inputs(now.frame)
        # One full render serves all variants, since the generator is frozen.
        losses = []
        for warp, optimizer in zip(warps, optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rates.networks * rates.schedule.share(step / steps)
            with autocast(cached.truth.rgb.device, True):
                image = warp(full, cached.frame, now.frame, inputs)
            loss = loss_of(as_float(image), now.truth)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(warp.warper.parameters(), rates.clip)
            optimizer.step()
            losses.append(loss.item())
        yield losses


@torch.inference_mode()
def measure_variants(
    networks: TelewarpNetworks,
    warps: Sequence[VariantWarp],
    stage: Stage,
    held_out: Sequence[HeldOutFrame],
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure PSNR (dB) and SSIM of float32 images.

    Args:
        networks: Networks of the full render.
        warps: Warps to measure.
        stage: Stage of the avatar.
        held_out: Held-out frames, all with the same ages.

    Returns:
        Scores by name of the variant or `"full render"`, then by age, then by metric.
    """
    scores: dict[tuple[str, str], list[dict[str, float]]] = {}
    for frame in held_out:
        now, truth = stage.frame(frame.state), image_tensor(frame.truth)
        image = networks.full(now).image.over(stage.background)
        scores.setdefault(("full render", "0"), []).append(_score(image, truth))
        inputs = networks.inputs(now)
        for age, state in frame.older.items():
            older = stage.frame(state)
            full = networks.full(older)
            for warp in warps:
                image = warp(full, older, now, inputs).over(stage.background)
                key = warp.variant.name, str(age)
                scores.setdefault(key, []).append(_score(image, truth))
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (name, cache_age), values in scores.items():
        means = {
            metric: round(sum(value[metric] for value in values) / len(values), 4)
            for metric in ("psnr", "ssim")
        }
        table.setdefault(name, {})[cache_age] = means
    return table


def _score(image: Tensor, truth: Tensor) -> dict[str, float]:
    image = image.clamp(0, 1)
    return {"psnr": psnr(image, truth).item(), "ssim": ssim(image, truth).item()}
