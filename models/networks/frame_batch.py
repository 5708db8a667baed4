"""The input of the networks: a batch of rasterized frames with their conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.contract.frame_state import FloatArray
from models.geometry.gbuffer import GBuffer, Window
from models.networks.conditioning import Conditioning, split_conditioning
from models.networks.reproject import Mesh


class FrameBatch(NamedTuple):
    """A batch of frames. `geometry.gbuffer` renders the first two fields."""

    uv: Tensor
    """(B, H, W, 2) UV map in [-1, 1], 0 off the head."""
    surface: Tensor
    """(B, 8, H, W) as `GBuffer.surface`, channels first."""
    conditioning_vector: Tensor
    """(B, K), as `compute_conditioning` returns it, or FLAME's (see `FlamePaperNetworks`)."""
    mesh: Mesh | None = None
    """Surface points for reprojection; the paper's networks need none."""
    blend: Tensor | None = None
    """(B, H, W) uint8: how pixels mix at silhouettes, as `GBuffer.blend`; None for UV maps without
    a mesh."""

    @property
    def conditioning(self) -> Conditioning:
        """Our conditioning, by its parts; not for FLAME's."""
        return split_conditioning(self.conditioning_vector)

    def to(self, device: torch.device) -> FrameBatch:
        """Return the batch on a device."""
        uv, surface, conditioning = (part.to(device, non_blocking=True) for part in self[:3])
        mesh = self.mesh
        if mesh is not None:
            mesh = Mesh(*(part.to(device, non_blocking=True) for part in mesh))
        blend = None if self.blend is None else self.blend.to(device, non_blocking=True)
        return FrameBatch(uv, surface, conditioning, mesh, blend)

    @staticmethod
    def concatenate(frames: Sequence[FrameBatch]) -> FrameBatch:
        """Concatenate batches; all or none must have a mesh and blends."""
        uv, surface, conditioning = (
            torch.cat(parts) for parts in zip(*(frame[:3] for frame in frames), strict=True)
        )
        meshes = [frame.mesh for frame in frames if frame.mesh is not None]
        mesh = None
        if meshes:
            mesh = Mesh(*(torch.cat(parts) for parts in zip(*meshes, strict=True)))
        blends = [frame.blend for frame in frames if frame.blend is not None]
        return FrameBatch(uv, surface, conditioning, mesh, torch.cat(blends) if blends else None)


def frame_batch(
    buffers: GBuffer, conditioning: FloatArray, window: Window | None = None
) -> FrameBatch:
    """Make a batch of one frame.

    Args:
        buffers: The rasterized frame.
        conditioning: (K,) its conditioning vector.
        window: The window that the buffers are a crop of; the whole image by default.
    """
    # Halved, because features are reprojected at half resolution.
    origin = (window.left / 2, window.top / 2) if window else (0.0, 0.0)
    return FrameBatch(
        torch.from_numpy(buffers.uv)[None],
        torch.from_numpy(buffers.surface).permute(2, 0, 1)[None],
        torch.from_numpy(conditioning)[None],
        Mesh(
            torch.from_numpy(buffers.visible.corners)[None],
            torch.from_numpy(buffers.visible.weights)[None],
            torch.from_numpy(buffers.points)[None],
            torch.tensor([origin]),
        ),
        torch.from_numpy(buffers.blend)[None],
    )
