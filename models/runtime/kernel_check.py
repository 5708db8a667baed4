"""Compares each CUDA kernel with its reference implementation, on any device.

On a GPU these are the compiled kernels, on a CPU Triton's interpreter runs them. The frame brings
its own vertices, because the reference blends shapes with fused multiplications: then all geometry
is equal to the bit. The references run on the CPU in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState, default_state
from models.geometry import rasterizer_numba
from models.geometry.gbuffer import SOFT_MAX
from models.geometry.head import vertex_normals
from models.geometry.silhouettes_numba import allocate_edges, blend_edges
from models.kernels.cuda.begin_frame import EMPTY_KEY
from models.kernels.cuda.live_path import LiveBuffers, LivePath
from models.kernels.cuda.parameters import FrameParameters
from models.kernels.nv12 import rgb_to_nv12
from models.networks.conditioning import compute_conditioning, split_conditioning
from models.networks.reproject import find_source_positions
from models.runtime.base import Cache
from models.runtime.telewarp_cuda import TelewarpCudaRuntime, frame_input
from models.runtime.telewarp_torch import TelewarpTorchRuntime

_CPU = torch.device("cpu")
_EXACT, _FLOAT32 = 0.0, 1e-5
_HALF_PIXEL = 1e-3
"""Pixels at half resolution: float32 positions of some hundred pixels."""


class Comparison(NamedTuple):
    """How far the results of a kernel are from its reference's."""

    largest: float
    """Largest absolute difference."""
    allowed: float
    """Largest difference that rounding explains."""

    @property
    def passed(self) -> bool:
        """Whether the kernel is right."""
        return self.largest <= self.allowed


def compare_kernels(avatar: Avatar, device: torch.device) -> dict[str, Comparison]:
    """Render a frame with the kernels on a device, and compare the output of each of them.

    Args:
        avatar: An avatar with our networks.
        device: A GPU, or the CPU in Triton's interpreter.

    Returns:
        Comparisons by output: geometry, live inputs, flow, motion code, image.
    """
    kernels, plain = TelewarpCudaRuntime(avatar, device), TelewarpTorchRuntime(avatar, _CPU)
    front, turned = check_states(avatar)
    cache = {spec.name: torch.zeros(spec.shape, dtype=spec.dtype) for spec in plain.layout}
    plain.refresh(front, cache)
    given = {spec.name: cache[spec.name].to(device, spec.dtype) for spec in kernels.layout}
    filled = _fill(kernels, turned, given)
    comparisons = dict(_compare_geometry(plain, turned, filled))
    comparisons.update(_compare_inputs(plain, turned, cache, filled, kernels.dtype))
    comparisons["rgb, mean"] = Comparison(
        float(np.abs(filled.rgb[0].numpy().astype(int) - plain.warp(turned, cache).rgb).mean()), 0.5
    )
    expected = rgb_to_nv12(filled.rgb[0])
    comparisons["nv12"] = _compare(filled.nv12[0], expected, _EXACT)
    return comparisons


def check_states(avatar: Avatar) -> tuple[FrameState, FrameState]:
    """Return the neutral face, and one with own vertices, turned and moved."""
    front = default_state(avatar.manifest)
    expression = np.full_like(front.expression, 0.1)
    turned = replace(
        front,
        expression=expression,
        vertices=avatar.head.shape(expression),
        head_rotation=np.array([0.02, 0.125, 0.01, 0.99], np.float32),
        head_translation=np.array([0.01, 0.005, 0.02], np.float32),
    )
    return front, turned


def _fill(runtime: TelewarpCudaRuntime, state: FrameState, cache: Cache) -> LiveBuffers:
    """Run all kernels once; return their buffers on the CPU."""
    assert state.vertices is not None
    parameters = FrameParameters(runtime.stage.head, runtime.stage.size, 1, pinned=False)
    parameters.fill(0, frame_input(state, cache))
    path = LivePath(runtime.model, 1, parameters.words, runtime.blocks)
    path.own_vertices[0].copy_(torch.from_numpy(state.vertices))
    path.parameters.copy_(parameters.host)
    path.render()
    path.compose_nv12()
    return LiveBuffers(*(buffer.cpu() for buffer in path.buffers))


def _compare_geometry(
    plain: TelewarpTorchRuntime, state: FrameState, filled: LiveBuffers
) -> Iterator[tuple[str, Comparison]]:
    """Compare vertices, normals and the rasterizer."""
    head, size = plain.stage.head, plain.stage.size
    world = head.pose(state)
    xy, inverse = rasterizer_numba.project(world, state, size, size)
    fragments = rasterizer_numba.rasterize(xy, inverse, head.faces, size, size)
    edges = allocate_edges(size)
    blend_edges(head.edges, head.faces, xy, inverse, *fragments, edges)
    keys = filled.keys[0]
    seen = torch.where(keys == EMPTY_KEY.value, -1, keys & 0xFFFFFFFF)
    yield "vertices", _compare(filled.world[0], world, _EXACT)
    yield "positions on screen", _compare(filled.xy[0], xy, _EXACT)
    yield "normals", _compare(filled.normals[0], vertex_normals(world, head.faces), _EXACT)
    yield "triangles", _compare(seen, fragments.triangle, _EXACT)
    yield "blends at silhouettes", _compare(filled.blend[0], edges.blend, _EXACT)


def _compare_inputs(
    plain: TelewarpTorchRuntime,
    state: FrameState,
    cache: Cache,
    filled: LiveBuffers,
    dtype: torch.dtype,
) -> Iterator[tuple[str, Comparison]]:
    """Compare live inputs, flow and motion code."""
    frame = plain.stage.frame(state)
    inputs = plain._inputs(frame)
    expected = inputs.half_res[0].permute(1, 2, 0)
    live = filled.live[0, 1:-1, 1:-1, : expected.shape[2]]
    rounding = torch.finfo(dtype).eps * float(expected.abs().max())
    yield (
        "soft coverage",
        _compare(filled.soft[0], (inputs.coverage[0, 0] * SOFT_MAX).round(), _EXACT),
    )
    yield "live inputs", _compare(live, expected, max(rounding, 2 * _FLOAT32))
    assert frame.mesh is not None
    positions = find_source_positions(frame.mesh, cache["points"][None], frame.mesh.origin)
    yield "source positions", _compare(filled.positions, positions, _HALF_PIXEL)
    now = split_conditioning(torch.from_numpy(compute_conditioning(state))[None])
    cached = split_conditioning(cache["conditioning"][None])
    with torch.inference_mode():
        code = plain.warper.from_motion(plain.warper.motion(now, cached))
        trust = plain.warper.trust(now, cached)
    scale = max(float(code.abs().max()), 1.0)
    yield "motion code", _compare(filled.code, code, 2 * _FLOAT32 * scale)
    yield "trust", _compare(filled.trust, trust, _FLOAT32)


def _compare(got: Tensor, expected: Tensor | NDArray[Any], allowed: float) -> Comparison:
    """Return the largest difference of two arrays."""
    apart = got.double() - torch.as_tensor(expected).double()
    return Comparison(float(apart.abs().max()), allowed)
