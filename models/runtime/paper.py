"""The paper's networks through plain torch, in float32 on any device, with the split warp."""

from __future__ import annotations

import copy

import torch

from models.avatar.folder import Avatar
from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.networks.avatar_networks import PaperNetworks
from models.networks.frame_batch import FrameBatch
from models.networks.paper import SKIP, PreparedPaperCache
from models.networks.telewarp import Foreground
from models.runtime.base import Cache, Stage, TensorSpec
from models.runtime.plain_frames import PlainFrames


class PaperRuntime(PlainFrames):
    """Full renders and split warps of `PaperNetworks`.

    Args:
        avatar: An avatar with the paper's networks.
        device: Where to run them.
    """

    mixes = False
    largest_batch = 1

    def __init__(self, avatar: Avatar, device: torch.device) -> None:
        assert isinstance(avatar.networks, PaperNetworks)
        self.stage = Stage(avatar, device)
        # A copy, because moving a module to a device changes it in place.
        self._networks = copy.deepcopy(avatar.networks).to(device)

    def layout_at(self, size: int) -> tuple[TensorSpec, ...]:
        """See `Runtime`."""
        hidden = self._networks.warper.first.out_channels
        return (
            TensorSpec("first", (1, hidden, size // 2, size // 2), torch.float32),
            TensorSpec("skip_4", (1, SKIP, size // 4, size // 4), torch.float32),
            TensorSpec("skip_5", (1, SKIP, size // 2, size // 2), torch.float32),
            TensorSpec("uv", (1, size, size, 2), torch.float32),
            TensorSpec("conditioning", (1, self._networks.conditioning_size), torch.float32),
        )

    @torch.inference_mode()
    def refresh(self, state: FrameState, cache: Cache) -> None:
        """Render `state` in full and store its contribution to the warp in `cache`."""
        frame = self.stage.frame(state)
        prepared = self._networks.warper.prepare(self._networks.full(frame).cache)
        for name, value in prepared._asdict().items():
            cache[name].copy_(value)
        cache["uv"].copy_(frame.uv)
        cache["conditioning"].copy_(frame.conditioning_vector)

    @torch.inference_mode()
    def full(
        self, state: FrameState, size: int | None = None, backdrop: Backdrop | None = None
    ) -> RgbImage:
        """Render `state` in full, see `Runtime.full`."""
        stage = self.stage.at(size)
        return stage.compose(self._networks.full(stage.frame(state)).image, backdrop)

    def _warp(self, frame: FrameBatch, cache: Cache) -> Foreground:
        """Warp a cache to a frame."""
        prepared = PreparedPaperCache(cache["first"], cache["skip_4"], cache["skip_5"])
        change = (frame.uv - cache["uv"]).permute(0, 3, 1, 2)
        now, cached = (
            self._networks.split_conditioning(frame.conditioning_vector),
            self._networks.split_conditioning(cache["conditioning"]),
        )
        made = self._networks.warper.warp(prepared, change, now, cached)
        return self._networks.denormalize(*made)

    def align(self, cache: Cache, newer: Cache) -> None:
        """Do nothing: the paper's features are not reprojected."""
