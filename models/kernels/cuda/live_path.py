"""The live path of one avatar on one device: from the parameters of some frames to their images.

Eight launches, to RGB or to NV12, whatever the number of frames. All buffers are allocated once,
nothing is copied but the parameters, and the host waits for nothing, so a CUDA graph can hold it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from models.contract.channels import OUTPUT_CHANNELS
from models.geometry.gbuffer import SURFACE_CHANNELS
from models.kernels.cuda.begin_frame import begin_frame
from models.kernels.cuda.blend_edges import blend_edges
from models.kernels.cuda.blocks import GPU_BLOCKS, Blocks
from models.kernels.cuda.compose import compose, compose_nv12
from models.kernels.cuda.convolve import convolve
from models.kernels.cuda.cross_edges import cross_edges
from models.kernels.cuda.draw import draw
from models.kernels.cuda.extend import extend
from models.kernels.cuda.launch import Argument, Launch, launch
from models.kernels.cuda.resolve import resolve

_TRITON_TYPES = {
    torch.float32: tl.float32,
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
}
_OUTPUTS = 4 * OUTPUT_CHANNELS
_UV_CHANGE = 2
_LEAST_DOT = 16
"""Least side of a matrix product on tensor cores."""
_EXACT = {"enable_fp_fusion": False}
"""Options of kernels whose rounding must be that of their references: no fused multiply-add."""


class LiveModel(NamedTuple):
    """Inputs of the kernels from an avatar, on the device."""

    neutral: Tensor
    """(V, 3) float32 vertices at rest, metres, as `Head.neutral`."""
    deltas: Tensor
    """(E, V * 3) displacements per coefficient, metres: of the expression, then of the correctives
    of a free jaw."""
    weights: Tensor
    """(V, 5) skinning weights, as `Head.weights`."""
    faces: Tensor
    """(F, 3) int32 vertices of each triangle."""
    uvs: Tensor
    """(T, 2) texture coordinates, 0..1."""
    uv_faces: Tensor
    """(F, 3) int32 rows of `uvs` for the corners of each triangle."""
    ends: Tensor
    """(E, 2) int32 vertices at the ends of each edge, as `MeshEdges.ends`."""
    along: Tensor
    """(E, 2) int32 triangles in the direction of each edge, as `MeshEdges.along`."""
    against: Tensor
    """(E, 2) int32 triangles in the opposite direction, as `MeshEdges.against`."""
    adjacent: Tensor
    """(N, V) int32 triangles at each vertex, of `adjacent_faces`."""
    features: Tensor
    """(h, w, C) feature texture."""
    paint: Tensor
    """(h, w, 8) paint texture, its 5 channels padded."""
    live_weight: Tensor
    """(3, 3, P, lanes) weights of the first convolution, see `pack_live_weight`."""
    hidden_weight: Tensor
    """(lanes, 32) weights of the second convolution, see `pack_hidden_weight`."""
    change_weight: Tensor
    """(32, K) weights of `MotionCode` for the change of conditioning."""
    now_weight: Tensor
    """(32, K) weights of `MotionCode` for the conditioning."""
    harmonic_weight: Tensor
    """(32, 9) weights of `MotionCode` for the harmonics of the view."""
    code_bias: Tensor
    """(32,) bias of `MotionCode`."""
    share_weight: Tensor
    """(hidden, 32) weights of `TelewarpWarp.from_motion`."""
    share_bias: Tensor
    """(hidden,) bias of `TelewarpWarp.from_motion`."""
    background: Tensor
    """(H, W, 3) uint8 RGB."""
    half_trust: float
    """Rotation at which the residual's weight falls to half, as `TelewarpWarp.half_trust`."""
    full_trust: float
    """Weight of the residual without any rotation, `FULL_TRUST`."""
    slope: float
    """Growth of the mask's logit from soft coverage 0 to 1, as `PaintOver.slope`."""
    offset: float
    """Mask's logit at soft coverage 0, as `PaintOver.offset`."""
    margin: int
    """How far beyond covered pixels the mask may reach, pixels at half resolution:
    `FOREGROUND_MARGIN`."""


class LiveBuffers(NamedTuple):
    """Outputs of the kernels for each frame."""

    world: Tensor
    """(B, V, 3) posed vertices, metres."""
    xy: Tensor
    """(B, V, 2) int32 screen positions, 1/256 pixels."""
    inverse: Tensor
    """(B, V) float64 inverse depths, 1/metres."""
    normals: Tensor
    """(B, V, 3) unit normals, world axes."""
    keys: Tensor
    """(B, H, W) int64 nearest triangle and its depth, see `rasterize`."""
    crossings: Tensor
    """(B, H, W, 2) int32 crossings of silhouettes, see `cross_edges`."""
    blend: Tensor
    """(B, H, W) uint8 how pixels mix at silhouettes, as `EdgeBlends.blend`."""
    cover: Tensor
    """(B, H, W) uint8 share of each pixel that the head covers, as `EdgeBlends.cover`."""
    soft: Tensor
    """(B, H, W) uint8 soft coverage, 0..`SOFT_MAX`."""
    live: Tensor
    """(B, H/2 + 2, W/2 + 2, P) live inputs; the border and channels beyond the last stay 0."""
    flow: Tensor
    """(B, H/2, W/2, 2) flow to the cached frame, pixels at half resolution."""
    extents: Tensor
    """(B, 3, H/2) int32 columns that the head covers in each row, see `resolve`."""
    positions: Tensor
    """(B, H/2, W/2, 2) source positions, pixels at half resolution."""
    active: Tensor
    """(B, 2, H/2) int32 first active column of each row, and the column after the last."""
    code: Tensor
    """(B, hidden) the motion code's contribution to the first convolution."""
    trust: Tensor
    """(B,) weight of the residual."""
    smooth: Tensor
    """(B, H/2, W/2, 32) output of the convolutions: 8 channels, each as 2x2 pixels."""
    rgb: Tensor
    """(B, H, W, 3) uint8."""
    nv12: Tensor
    """(B, 3 H/2, W) uint8."""


class LivePath:
    """Renders batches of frames of one avatar.

    Args:
        model: The avatar, on the device.
        batch: B, frames per call.
        words: Length of a row of parameters, 8-byte words: that of a row of `FrameParameters`.
        blocks: Sizes of blocks.
        run: Launches the kernels.
    """

    def __init__(
        self,
        model: LiveModel,
        batch: int,
        words: int,
        blocks: Blocks = GPU_BLOCKS,
        run: Launch = launch,
    ) -> None:
        self._model, self._batch, self._words = model, batch, words
        self._blocks, self._run = blocks, run
        self.size = len(model.background)
        self._half = self.size // 2
        self._hidden = len(model.share_bias)
        device = model.neutral.device
        self.parameters = torch.zeros((batch, words), dtype=torch.int64, device=device)
        """(B, words) of `FrameParameters`, to be copied here before `render`."""
        self.own_vertices = torch.zeros((batch, *model.neutral.shape), device=device)
        """(B, V, 3) vertices of frames whose state brings them."""
        self.buffers = _allocate(model, batch, self.size)

    def render(self) -> None:
        """Launch the kernels that fill `buffers.rgb` for the parameters."""
        self._warp()
        self.compose()

    def render_nv12(self) -> None:
        """Launch the kernels that fill `buffers.nv12` for the parameters."""
        self._warp()
        self.compose_nv12()

    def _warp(self) -> None:
        # Each launch needs what an earlier one wrote at other places: projected vertices, the depth
        # of the whole image, crossings around a pixel, cover around a pixel, the flow of whole
        # rows, and the live inputs of neighbouring pixels.
        self.begin()
        self.draw()
        self.cross_edges()
        self.blend_edges()
        self.resolve()
        self.extend()
        self.convolve()

    @property
    def _typed_parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        """The parameters as float64, int64 and float32."""
        p = self.parameters
        return p.view(torch.float64), p, p.view(torch.float32)

    def begin(self) -> None:
        """Launch `begin_frame`."""
        m, b, blocks = self._model, self.buffers, self._blocks
        vertices, coefficients = len(m.neutral), len(m.deltas)
        codes, conditioning = m.now_weight.shape
        programs = triton.cdiv(vertices, blocks.vertices)
        # One more program computes the motion code.
        programs += triton.cdiv(self.size * self.size, blocks.clear) + 1
        self._run(
            begin_frame, (programs, self._batch),
            *self._typed_parameters, self._words,
            m.neutral, m.deltas, m.weights, self.own_vertices, vertices, coefficients,
            b.world, b.xy, b.inverse, self.size, b.keys, b.crossings,
            b.extents,
            m.change_weight, m.now_weight, m.harmonic_weight, m.code_bias, m.share_weight,
            m.share_bias, conditioning, self._hidden, m.half_trust, m.full_trust, b.code, b.trust,
            block=blocks.vertices, clear=blocks.clear,
            inputs=triton.next_power_of_2(conditioning), codes=codes,
            outputs=triton.next_power_of_2(self._hidden), dtype=tl.float32, **_EXACT,
        )  # fmt: skip

    def draw(self) -> None:
        """Launch `draw`."""
        m, b, blocks = self._model, self.buffers, self._blocks
        triangles, vertices, most = len(m.faces), len(m.neutral), len(m.adjacent)
        programs = triton.cdiv(triangles, blocks.triangles)
        programs += triton.cdiv(triton.cdiv(vertices, blocks.vertices), blocks.parts)
        self._run(
            draw, (programs, blocks.parts, self._batch),
            b.xy, b.inverse, m.faces, b.keys, triangles, vertices, self.size,
            b.world, m.adjacent, most, b.normals,
            block=blocks.triangles, fragments=blocks.fragments, parts=blocks.parts,
            vertex_block=blocks.vertices, **_EXACT,
        )  # fmt: skip

    def cross_edges(self) -> None:
        """Launch `cross_edges`."""
        m, b, block = self._model, self.buffers, self._blocks.edges
        self._run(
            cross_edges, (triton.cdiv(len(m.ends), block), self._batch),
            b.xy, b.inverse, m.faces, m.ends, m.along, m.against, len(m.ends), len(m.faces),
            len(m.neutral), b.keys, self.size, b.crossings, block=block, **_EXACT,
        )  # fmt: skip

    def blend_edges(self) -> None:
        """Launch `blend_edges`."""
        b, block = self.buffers, self._blocks.pixels
        self._run(
            blend_edges, (triton.cdiv(self.size**2, block), self._batch),
            b.keys, b.crossings, self.size, b.blend, b.cover, block=block,
        )  # fmt: skip

    def resolve(self) -> None:
        """Launch `resolve`."""
        m, b, block = self._model, self.buffers, self._blocks.half
        high, wide, features = m.features.shape
        self._run(
            resolve, (triton.cdiv(self._half**2, block), self._batch),
            *self._typed_parameters, self._words, b.keys, b.xy, b.inverse, b.normals,
            len(m.neutral), m.faces, m.uvs, m.uv_faces, m.features, high, wide, self.size,
            b.cover, b.soft, b.live, b.flow, b.extents,
            block=block, features=features, lanes=triton.next_power_of_2(features),
            channels=b.live.shape[3], dtype=_TRITON_TYPES[b.live.dtype],
        )  # fmt: skip

    def extend(self) -> None:
        """Launch `extend`."""
        b = self.buffers
        block = triton.next_power_of_2(self._half)
        self._run(
            extend, (self._half, self._batch),
            b.flow, b.extents, self.size, self._model.margin, b.positions, b.active,
            block=block, columns=min(self._blocks.columns, block),
        )  # fmt: skip

    def convolve(self) -> None:
        """Launch `convolve`."""
        m, b, blocks = self._model, self.buffers, self._blocks
        tiles = triton.cdiv(self._half, blocks.tile_rows)
        tiles *= triton.cdiv(self._half, blocks.tile_columns)
        _, addresses, narrow = self._typed_parameters
        stride = len(m.hidden_weight)
        self._run(
            convolve, (tiles, self._batch),
            addresses, narrow, self._words, b.live, m.live_weight, m.hidden_weight,
            b.code, b.trust, b.positions, b.active, self.size, self._hidden, stride,
            b.smooth, rows=blocks.tile_rows, columns=blocks.tile_columns,
            channels=b.live.shape[3], lanes=min(blocks.hidden, stride),
            dtype=_TRITON_TYPES[b.live.dtype],
        )  # fmt: skip

    def compose(self) -> None:
        """Launch `compose`."""
        block = self._blocks.pixels
        self._run(
            compose, (triton.cdiv(self.size**2, block), self._batch),
            *self._composed, self.buffers.rgb, block=block,
        )  # fmt: skip

    def compose_nv12(self) -> None:
        """Launch `compose_nv12`."""
        block = self._blocks.chroma
        self._run(
            compose_nv12, (triton.cdiv(self._half**2, block), self._batch),
            *self._composed, self.buffers.nv12, block=block,
        )  # fmt: skip

    @property
    def _composed(self) -> tuple[Argument, ...]:
        """The arguments of both kernels that compose."""
        m, b = self._model, self.buffers
        high, wide = m.paint.shape[:2]
        return (
            b.keys, b.blend, b.soft, b.xy, b.inverse, len(m.neutral), m.faces, m.uvs, m.uv_faces,
            m.paint, high, wide, b.smooth, b.active, m.background, m.slope, m.offset, self.size,
        )  # fmt: skip


def pack_live_weight(weight: Tensor) -> Tensor:
    """Arrange weights (hidden, L + 2, 3, 3) of the first convolution for `convolve`."""
    hidden, inputs = weight.shape[:2]
    # Padded to sides that tensor cores take; zeros add nothing to the sums.
    packed = weight.new_zeros((3, 3, _dot_side(inputs), _dot_side(hidden)))
    packed[:, :, :inputs, :hidden] = weight.permute(2, 3, 1, 0)
    return packed


def pack_hidden_weight(weight: Tensor) -> Tensor:
    """Arrange weights (32, hidden, 1, 1) of the second convolution for `convolve`."""
    hidden = weight.shape[1]
    packed = weight.new_zeros((_dot_side(hidden), len(weight)))
    packed[:hidden] = weight[:, :, 0, 0].T
    return packed


def _dot_side(channels: int) -> int:
    """Return the side of the matrix product that takes some channels."""
    return max(int(triton.next_power_of_2(channels)), _LEAST_DOT)


def _allocate(model: LiveModel, batch: int, size: int) -> LiveBuffers:
    """Allocate the buffers of a batch of frames."""
    vertices, half, hidden = len(model.neutral), size // 2, len(model.share_bias)
    channels, device = model.live_weight.shape[2], model.neutral.device
    assert model.features.shape[2] + SURFACE_CHANNELS + _UV_CHANGE <= channels

    def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        # Zeros, because kernels never write the border of `live` and its padded channels.
        return torch.zeros((batch, *shape), dtype=dtype, device=device)

    return LiveBuffers(
        world=zeros(vertices, 3),
        xy=zeros(vertices, 2, dtype=torch.int32),
        inverse=zeros(vertices, dtype=torch.float64),
        normals=zeros(vertices, 3),
        keys=zeros(size, size, dtype=torch.int64),
        crossings=zeros(size, size, 2, dtype=torch.int32),
        blend=zeros(size, size, dtype=torch.uint8),
        cover=zeros(size, size, dtype=torch.uint8),
        soft=zeros(size, size, dtype=torch.uint8),
        live=zeros(half + 2, half + 2, channels, dtype=model.live_weight.dtype),
        flow=zeros(half, half, 2),
        extents=zeros(3, half, dtype=torch.int32),
        positions=zeros(half, half, 2),
        active=zeros(2, half, dtype=torch.int32),
        code=zeros(hidden),
        trust=zeros(),
        smooth=zeros(half, half, _OUTPUTS),
        rgb=zeros(size, size, 3, dtype=torch.uint8),
        nv12=zeros(size + half, size, dtype=torch.uint8),
    )
