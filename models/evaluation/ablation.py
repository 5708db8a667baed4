"""What each part of our warp is worth: several warps, side by side, on one generator that stays.

All see the same pairs and start from the same weights; they differ in what they are shown and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.data.samples import SamplePair, image_tensor
from models.evaluation.evaluation import Moment
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
class Variant:
    """One way to build a warp."""

    name: str
    inputs: tuple[LiveInput, ...] = LIVE_INPUTS
    """What its convolutions are shown of the present frame, besides the change of the UV map."""
    carries: bool = True
    """Whether what is cached moves with the surface."""
    adds_missed: bool = True
    """Whether it is told what it missed of the cached frame."""


VARIANTS = (
    Variant("what the paper's warp sees: cache, UV change", (), False, False),
    Variant("+ fresh texture", ("texture",), False, False),
    Variant("+ normals, mirror directions", LIVE_INPUTS, False, False),
    Variant("+ cache carried by the mesh", LIVE_INPUTS, True, False),
    Variant("+ what was missed, carried as well: ours", LIVE_INPUTS, True, True),
    Variant("ours, nothing carried", LIVE_INPUTS, False, True),
)


class VariantWarp(nn.Module):
    """A warp built as a variant says.

    Args:
        networks: Whose generator it works with, and whose warp it starts as; they stay as they are.
        variant: What it is.
    """

    def __init__(self, networks: TelewarpNetworks, variant: Variant) -> None:
        super().__init__()
        self.variant, config = variant, networks.config
        self.paint_over = networks.generator.paint_over
        channels = live_channels(config.texture_channels)
        self.warper = TelewarpWarp(
            channels, config.network_size, config.expressions, variant.inputs
        )
        self.warper.load_state_dict(networks.warper.state_dict())

    def forward(
        self, full: FullRender, cached: FrameBatch, now: FrameBatch, inputs: LiveInputs
    ) -> Foreground:
        """Warp the cache of frame `cached` to frame `now`, whose live inputs are given."""
        numbers, older = now.conditioning, cached.conditioning
        prepared = self.warper.prepare(full.cache, older)
        if not self.variant.adds_missed:
            prepared = prepared._replace(residual=torch.zeros_like(prepared.residual))
        assert now.mesh is not None
        assert cached.mesh is not None
        if self.variant.carries:
            places = find_source_positions(now.mesh, cached.mesh.points, cached.mesh.origin)
        else:
            places = own_source_positions(now.mesh, cached.mesh.origin)
        carried = self.warper.reproject(prepared, places, numbers, older)
        picture: Foreground = self.paint_over(self.warper(carried, inputs, numbers, older), inputs)
        return picture


def train_variants(
    networks: TelewarpNetworks,
    warps: Sequence[VariantWarp],
    pairs: Iterator[SamplePair],
    steps: int,
    rates: Rates,
) -> Iterator[list[float]]:
    """Train them all on the same pairs.

    Yields:
        After each step, their losses.
    """
    networks.requires_grad_(False)
    loss_of = ImageLoss(LossWeights())
    optimizers = [torch.optim.Adam(warp.warper.parameters()) for warp in warps]
    for step in range(steps):
        cached, now = next(pairs)
        with torch.no_grad(), autocast(cached.truth.rgb.device, True):
            full, inputs = networks.full(cached.frame), networks.inputs(now.frame)
        losses = []
        for warp, optimizer in zip(warps, optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rates.networks * rates.schedule.share(step / steps)
            with autocast(cached.truth.rgb.device, True):
                picture = warp(full, cached.frame, now.frame, inputs)
            loss = loss_of(as_float(picture), now.truth)
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
    moments: Sequence[Moment],
) -> dict[str, dict[str, dict[str, float]]]:
    """PSNR (dB) and SSIM of plain float32 pictures.

    Args:
        networks: Of the full render.
        warps: Those to be measured.
        stage: Of the avatar.
        moments: Held-out frames, all with the same ages.

    Returns:
        By variant's name and `"full render"`, then by age, then by metric.
    """
    scores: dict[tuple[str, str], list[dict[str, float]]] = {}
    for moment in moments:
        now, truth = stage.frame(moment.state), image_tensor(moment.truth)
        picture = networks.full(now).image.over(stage.background)
        scores.setdefault(("full render", "0"), []).append(_score(picture, truth))
        inputs = networks.inputs(now)
        for age, state in moment.older.items():
            older = stage.frame(state)
            full = networks.full(older)
            for warp in warps:
                picture = warp(full, older, now, inputs).over(stage.background)
                key = warp.variant.name, str(age)
                scores.setdefault(key, []).append(_score(picture, truth))
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (name, frames), values in scores.items():
        means = {
            metric: round(sum(value[metric] for value in values) / len(values), 4)
            for metric in ("psnr", "ssim")
        }
        table.setdefault(name, {})[frames] = means
    return table


def _score(picture: Tensor, truth: Tensor) -> dict[str, float]:
    picture = picture.clamp(0, 1)
    return {"psnr": psnr(picture, truth).item(), "ssim": ssim(picture, truth).item()}
