"""The networks' input: a batch of rasterized frames with their conditioning."""

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
    """Frames as networks take them; `geometry.gbuffer` draws the first two."""

    uv: Tensor
    """(B, H, W, 2)"""
    surface: Tensor
    """(B, 8, H, W)"""
    conditioning_vector: Tensor
    """(B, K), see `conditioning.compute_conditioning`; the paper's networks name their own."""
    mesh: Mesh | None = None
    """The paper's networks need none."""

    @property
    def conditioning(self) -> Conditioning:
        """Our numbers, named."""
        return split_conditioning(self.conditioning_vector)

    def to(self, device: torch.device) -> FrameBatch:
        """The same on a device."""
        uv, surface, numbers = (part.to(device, non_blocking=True) for part in self[:3])
        mesh = self.mesh
        if mesh is not None:
            mesh = Mesh(*(part.to(device, non_blocking=True) for part in mesh))
        return FrameBatch(uv, surface, numbers, mesh)

    @staticmethod
    def concatenate(frames: Sequence[FrameBatch]) -> FrameBatch:
        """Frames stacked along the batch; all with a mesh, or none."""
        uv, surface, numbers = (
            torch.cat(parts) for parts in zip(*(frame[:3] for frame in frames), strict=True)
        )
        meshes = [frame.mesh for frame in frames if frame.mesh is not None]
        mesh = None
        if meshes:
            mesh = Mesh(*(torch.cat(parts) for parts in zip(*meshes, strict=True)))
        return FrameBatch(uv, surface, numbers, mesh)


def frame_batch(buffers: GBuffer, numbers: FloatArray, window: Window | None = None) -> FrameBatch:
    """What was drawn of a state (B = 1), whole or in a window, and its numbers."""
    origin = (window.left / 2, window.top / 2) if window else (0.0, 0.0)
    return FrameBatch(
        torch.from_numpy(buffers.uv)[None],
        torch.from_numpy(buffers.surface).permute(2, 0, 1)[None],
        torch.from_numpy(numbers)[None],
        Mesh(
            torch.from_numpy(buffers.visible.corners)[None],
            torch.from_numpy(buffers.visible.weights)[None],
            torch.from_numpy(buffers.points)[None],
            torch.tensor([origin]),
        ),
    )
