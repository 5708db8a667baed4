"""Our networks on an NVIDIA GPU: warps through the kernels of `kernels/cuda`, full renders through
torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.backdrop import Backdrop
from models.contract.channels import CAMERA_SIZE, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState
from models.contract.images import StageTimes, WarpedImage, WarpedNv12
from models.geometry.head import Head
from models.geometry.spherical_harmonics import BASES
from models.kernels.cuda.blocks import GPU_BLOCKS, INTERPRETER_BLOCKS
from models.kernels.cuda.compose import PAINT_STRIDE
from models.kernels.cuda.frame_renderer import FrameRenderer, Output
from models.kernels.cuda.launch import Launch, launch
from models.kernels.cuda.live_path import LiveModel, pack_hidden_weight, pack_live_weight
from models.kernels.cuda.parameters import FrameInput
from models.kernels.cuda.vertex_normals import adjacent_faces
from models.networks.conditioning import compute_conditioning
from models.networks.live_inputs import FOREGROUND_MARGIN
from models.networks.telewarp import FULL_TRUST
from models.runtime.base import Cache
from models.runtime.deferred_crossfade import MixedCache
from models.runtime.plain_frames import as_nv12
from models.runtime.telewarp_torch import TelewarpTorchRuntime

BATCHES = (1, 2, 4, 8)
"""Numbers of frames for which there is a graph; others take the next larger one."""

LARGEST_DIFFERENCE = 0.5
"""Largest mean difference from plain torch, in 8-bit levels. Measured in the interpreter: 0.003 in
float32; convolutions in bfloat16 differ by 0.05 between two forms of the same warp on a CPU."""


class KernelError(RuntimeError):
    """The kernels render other images than plain torch."""


class TelewarpCudaRuntime(TelewarpTorchRuntime):
    """The same results as `TelewarpTorchRuntime`, with warps of eight launches and no waiting.

    Args:
        avatar: An avatar with our networks.
        device: A CUDA device, or a CPU in Triton's interpreter.
        run: Launches the kernels.
    """

    mixes = True
    largest_batch = BATCHES[-1]

    def __init__(self, avatar: Avatar, device: torch.device, run: Launch = launch) -> None:
        super().__init__(avatar, device)
        self.model = live_model(self)
        self.blocks = GPU_BLOCKS if device.type == "cuda" else INTERPRETER_BLOCKS
        self._launch = run
        self._renderers: dict[tuple[int, Output], FrameRenderer] = {}

    def resized(self, size: int) -> Self:
        """See `Runtime`. Its kernels are compiled, and its graphs captured, at their first use."""
        other = super().resized(size)
        background = torch.from_numpy(other.stage.background_rgb).to(self.stage.device)
        other.model = self.model._replace(background=background)
        other._renderers = {}
        return other

    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Warp an older state's cache to `state`."""
        (rgb,), stages_ms = self._render([(state, cache)], Output.RGB)
        return WarpedImage(rgb, stages_ms)

    def warp_nv12(
        self, state: FrameState, cache: Cache, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """Warp an older state's cache to `state`, see `Runtime.warp_nv12`."""
        if backdrop is not None:
            return super().warp_nv12(state, self._interpolated(cache), backdrop)
        return self.warp_nv12_batch([(state, cache)])[0]

    def _interpolated(self, cache: Cache) -> Cache:
        """Return the tensors of one cache for plain torch, which takes no `MixedCache`."""
        if not isinstance(cache, MixedCache) or cache.share >= 1:
            return cache
        return {
            name: cache.older[name].lerp(cache[name], cache.share) if mixes else cache[name]
            for name, _, _, mixes in self.layout
        }

    def warp_nv12_batch(self, frames: Sequence[tuple[FrameState, Cache]]) -> list[WarpedNv12]:
        """Warp 1 to 8 caches, of any viewers, in one run of the kernels.

        Args:
            frames: The state of each frame, and the cache of an older one.

        Returns:
            The images.

        Raises:
            HeadError: If a state does not fit the avatar's head; then nothing is rendered.
        """
        images, stages_ms = self._render(frames, Output.NV12)
        return [WarpedNv12(image, stages_ms) for image in images]

    def _render(
        self, frames: Sequence[tuple[FrameState, Cache]], output: Output
    ) -> tuple[list[NDArray[np.uint8]], StageTimes]:
        """Return the images of some frames, and the time each stage took.

        Rasterization and network are one graph, so the time of both counts as the stage `warp`,
        and that of the host's preparation as the stage `raster`.
        """
        started = time.perf_counter()
        renderer = self.renderer(len(frames), output)
        renderer.prepare([frame_input(*frame) for frame in frames])
        prepared = time.perf_counter()
        images = renderer.render()
        # Copies, because the caller keeps the image and the next frame overwrites it.
        made = [images[index].numpy().copy() for index in range(len(frames))]
        render_ms = (time.perf_counter() - prepared) * 1e3
        return made, {"raster": (prepared - started) * 1e3, "warp": render_ms}

    def check(self, cached: FrameState, now: FrameState) -> None:
        """Warp the cache of one state to another, to NV12, by the kernels and by plain torch.

        Raises:
            KernelError: If the images differ by more than rounding.
        """
        cache = {
            name: torch.zeros(shape, dtype=dtype, device=self.stage.device)
            for name, shape, dtype, _ in self.layout
        }
        self.refresh(cached, cache)
        got, expected = self.warp_nv12(now, cache).nv12, as_nv12(super().warp(now, cache)).nv12
        apart = float(np.abs(got.astype(np.int16) - expected).mean())
        if apart > LARGEST_DIFFERENCE:
            raise KernelError(
                f"expected images within {LARGEST_DIFFERENCE} levels of plain torch's, "
                f"got {apart:.2f} on average"
            )

    def renderer(self, frames: int, output: Output) -> FrameRenderer:
        """Return the renderer for a number of frames, 1 to 8."""
        assert 1 <= frames <= BATCHES[-1], f"expected 1 to {BATCHES[-1]} frames, got {frames}"
        batch = next(size for size in BATCHES if size >= frames)
        key = batch, output
        if key not in self._renderers:
            self._renderers[key] = FrameRenderer(
                self.model, self.stage.head, batch, output, self.blocks, self._launch
            )
        return self._renderers[key]


def frame_input(state: FrameState, cache: Cache) -> FrameInput:
    """Return the input of the kernels for a state and the cache of an older one."""
    conditioning = compute_conditioning(state)
    if isinstance(cache, MixedCache):
        return FrameInput(state, conditioning, cache.older, cache, cache.share)
    return FrameInput(state, conditioning, cache, cache)


@torch.no_grad()
def live_model(runtime: TelewarpTorchRuntime) -> LiveModel:
    """Collect what the kernels read of an avatar, on the runtime's device."""
    device, head, warper = runtime.stage.device, runtime.stage.head, runtime.warper
    linear, share = warper.motion.linear, warper.from_motion
    harmonic, now, change = _motion_weights(linear.weight)
    paint_over = runtime.generator.paint_over
    paint = _channels_last(runtime.paint)

    def on_device(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    return LiveModel(
        neutral=on_device(head.neutral), deltas=on_device(_deltas(head)),
        weights=on_device(head.weights), faces=on_device(head.faces), uvs=on_device(head.uvs),
        uv_faces=on_device(head.uv_faces), ends=on_device(head.edges.ends),
        along=on_device(head.edges.along), against=on_device(head.edges.against),
        adjacent=on_device(adjacent_faces(head.faces, len(head.neutral))),
        features=_channels_last(runtime.features),
        paint=F.pad(paint, (0, PAINT_STRIDE.value - paint.shape[2])).contiguous(),
        live_weight=pack_live_weight(runtime.live_weight),
        hidden_weight=pack_hidden_weight(runtime.hidden_weight),
        change_weight=change, now_weight=now, harmonic_weight=harmonic, code_bias=linear.bias,
        share_weight=share.weight.contiguous(), share_bias=share.bias,
        background=on_device(runtime.stage.background_rgb),
        half_trust=warper.half_trust.item(), full_trust=FULL_TRUST,
        slope=paint_over.slope.item(), offset=paint_over.offset.item(), margin=FOREGROUND_MARGIN,
    )  # fmt: skip


def _deltas(head: Head) -> FloatArray:
    """Return the blend shapes (E, V * 3), followed by those of a free jaw."""
    if head.free_jaw is None:
        return head.deltas
    return np.concatenate([head.deltas, head.free_jaw.correctives])


def _motion_weights(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split the weights (32, N) of `MotionCode` by what they apply to.

    Returns:
        (32, 9) for the harmonics, (32, K) for the conditioning and (32, K) for its change.
    """
    expression = (weight.shape[1] - BASES - 2 * (POSE_SIZE + CAMERA_SIZE)) // 2
    harmonic, pose, pose_change, camera_change, camera, now, change = weight.split(
        [BASES, POSE_SIZE, POSE_SIZE, CAMERA_SIZE, CAMERA_SIZE, expression, expression], dim=1
    )
    return (
        harmonic.contiguous(),
        torch.cat([pose, camera, now], dim=1),
        torch.cat([pose_change, camera_change, change], dim=1),
    )


def _channels_last(texels: Tensor) -> Tensor:
    """Return (1, C, h, w) texels as (h, w, C)."""
    return texels[0].permute(1, 2, 0).contiguous()
