"""The live inputs of the networks: their inputs from the current frame, besides the cache.

There are two textures. *Features* are looked up once per 2x2 pixels and go through convolutions at
half resolution, where shading, outlines and everything smooth is computed. *Paint* (albedo, gloss,
mask) is looked up for every pixel and applied last (`networks/telewarp.py`, `PaintOver`), so that
fine detail needs neither wide lookups nor convolutions at full resolution.

`kernels/fill_inputs.py` is the same on the latency path of a CPU.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.geometry.gbuffer import SURFACE_CHANNELS
from models.geometry.silhouettes import DIRECTIONS, SHARE_UNIT
from models.kernels.texture_lookup import look_up
from models.networks.texture import harmonic_scale, sample_texels

PAINT = 5
"""Channels of the paint texture: albedo (RGB), mask logit, gloss."""
FOREGROUND_MARGIN = 8
"""Pixels at half resolution by which the mask may reach beyond the covered pixels; everything
further away is background."""

LiveInput = Literal["texture", "normals", "mirrors"]
LIVE_INPUTS: tuple[LiveInput, ...] = ("texture", "normals", "mirrors")
"""Groups of live inputs that a warp can be trained without: texture features, normals, reflection
vectors. Soft coverage and the change of the UV map are always there."""


class LiveInputs(NamedTuple):
    """The live inputs of a batch of frames."""

    paint: Tensor
    """(B, 5, H, W) paint texture, 0 off the head. Pixels at silhouettes hold the mean of both
    surfaces, by the share of each."""
    coverage: Tensor
    """(B, 1, H, W) soft coverage, 0..1."""
    half_res: Tensor
    """(B, L, H/2, W/2) input of the convolutions: texture features scaled by the spherical
    harmonics of the view, then the surface channels. Each 2x2 pixels give the values of their
    first covered pixel, times the share of covered ones. The first surface channel is the mean soft
    coverage."""
    uv: Tensor
    """(B, 2, H/2, W/2) UV map at the same pixels; 0 off the head."""
    covered: Tensor
    """(B, 1, H/2, W/2) 1 where any of the four pixels is covered."""
    active: Tensor
    """(B, 1, H, W) bool, the active region: where the mask may be above 0."""


def live_channels(texture_channels: int) -> int:
    """Return L, the channels of `LiveInputs.half_res`, for a feature texture of C channels."""
    return texture_channels + SURFACE_CHANNELS


def live_inputs(
    features: Tensor,
    paint: Tensor,
    uv: Tensor,
    surface: Tensor,
    view: Tensor,
    blend: Tensor | None = None,
) -> LiveInputs:
    """Look up both textures and gather the live inputs of a batch of frames.

    Args:
        features: (1, C, h, w) the feature texture.
        paint: (1, 5, h', w') the paint texture.
        uv: (B, H, W, 2) UV map in [-1, 1], 0 off the head.
        surface: (B, 8, H, W) as `GBuffer.surface`, channels first.
        view: (B, 3) unit direction from head to eye, head space.
        blend: (B, H, W) how pixels mix at silhouettes, as `GBuffer.blend`; None for not at all.

    Returns:
        The inputs, with L = C + 8.
    """
    mask = covered(surface)
    first, share = _first_of_four(torch.cat([uv.permute(0, 3, 1, 2), surface[:, 1:]], dim=1), mask)
    uv_half = first[:, :2].permute(0, 2, 3, 1).contiguous()
    scale = harmonic_scale(view, features.shape[1])
    half_res = torch.cat(
        [
            _scaled_lookup(features, uv_half, scale, share),
            F.avg_pool2d(surface[:, :1], 2),
            first[:, 2:] * share,
        ],
        dim=1,
    )
    ones = scale.new_ones(len(scale), PAINT)
    soft = surface[:, :1]
    painted = _scaled_lookup(paint, uv, ones, mask)
    return LiveInputs(
        paint=painted if blend is None else mix_at_silhouettes(painted, blend),
        coverage=soft,
        half_res=half_res,
        uv=first[:, :2],
        covered=(share > 0).to(uv.dtype),
        active=find_active_region(soft),
    )


def mix_at_silhouettes(values: Tensor, blend: Tensor) -> Tensor:
    """Mix pixels with the neighbours that they share with another surface.

    Args:
        values: (B, C, H, W) values per pixel.
        blend: (B, H, W) uint8 as `GBuffer.blend`. Of a crop, whose edge a neighbour may be beyond,
            the pixel itself takes the neighbour's place.

    Returns:
        (B, C, H, W).
    """
    share = ((blend >> 2).to(values.dtype) / SHARE_UNIT)[:, None]
    direction = (blend & 3)[:, None]
    padded = F.pad(values, (1, 1, 1, 1), mode="replicate")
    height, width = values.shape[2:]
    mixed = values * (1 - share)
    for index, (dy, dx) in enumerate(DIRECTIONS):
        beside = padded[:, :, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        mixed = mixed + beside * (share * (direction == index))
    return mixed


def find_active_region(soft: Tensor) -> Tensor:
    """Find where the mask may be above 0: within `FOREGROUND_MARGIN` of the head, row by row.

    A row is active from its first to its last such pixel, gaps included, because the kernels of the
    latency path skip everything outside of one interval per row.

    Args:
        soft: (B, 1, H, W) soft coverage.

    Returns:
        (B, 1, H, W) bool.
    """
    # First to half resolution, at which the margin is measured and the kernels work.
    near = F.max_pool2d(F.max_pool2d(soft, 2), 2 * FOREGROUND_MARGIN + 1, 1, FOREGROUND_MARGIN) > 0
    from_left = near.int().cummax(dim=3).values
    from_right = near.int().flip(3).cummax(dim=3).values.flip(3)
    return F.interpolate((from_left * from_right).float(), scale_factor=2) > 0


def covered(surface: Tensor) -> Tensor:
    """Return the hard coverage mask of a surface buffer.

    Args:
        surface: (B, 8, H, W) as `GBuffer.surface`, channels first.

    Returns:
        (B, 1, H, W): 1 where the centre of a pixel is covered, else 0.
    """
    # Normals have unit length where the centre is covered, and are 0 elsewhere.
    return (surface[:, 1:4].square().sum(dim=1, keepdim=True) > 0.5).to(surface.dtype)


def uv_change(now: LiveInputs, uv: Tensor, covered: Tensor) -> Tensor:
    """Compare the UV map of a reprojected older frame with that of the current one.

    Where they differ, the older frame saw another part of the surface. Linear in what belongs to
    the older frame, so that caches can be interpolated.

    Args:
        now: Live inputs of the current frame.
        uv: (B, 2, H/2, W/2) of the older frame, reprojected; 0 off the head.
        covered: (B, 1, H/2, W/2) of the older frame, reprojected.

    Returns:
        (B, 2, H/2, W/2), 0 where the head is not visible in both frames.
    """
    return (now.uv * covered - uv) * now.covered


def _first_of_four(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Reduce each 2x2 pixels to the first covered one.

    Averages would mix charts of the UV map where they meet.

    Args:
        values: (B, C, H, W) values per pixel.
        mask: (B, 1, H, W), 1 where covered, else 0.

    Returns:
        (B, C, H/2, W/2) values, 0 where none of the four is covered, and (B, 1, H/2, W/2) the share
        of covered pixels.
    """
    batch, channels, height, width = values.shape
    four = F.pixel_unshuffle(mask, 2)
    # Falling weights, so that argmax finds the first covered pixel of the four.
    order = torch.tensor([4.0, 3.0, 2.0, 1.0], device=mask.device)[:, None, None]
    chosen = (four * order).argmax(dim=1, keepdim=True)[:, :, None]
    parts = F.pixel_unshuffle(values, 2).reshape(batch, channels, 4, height // 2, width // 2)
    index = chosen.transpose(1, 2).expand(-1, channels, -1, -1, -1)
    first = parts.gather(2, index)[:, :, 0]
    share = four.mean(dim=1, keepdim=True)
    return first * (share > 0), share


def _scaled_lookup(texels: Tensor, uv: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Sample a texture, scaled by channel and by pixel.

    Args:
        texels: (1, C, h, w) texture.
        uv: (B, H, W, 2) texture coordinates in [-1, 1].
        scale: (B, C) scale of each channel.
        weight: (B, 1, H, W) weight of each pixel.

    Returns:
        (B, C, H, W).
    """
    # On CPUs the kernel takes a fraction of grid_sample's time, see its module.
    if texels.device.type == "cpu":
        return look_up(texels, uv, scale, weight[:, 0])
    return sample_texels(texels, uv) * scale[..., None, None] * weight
