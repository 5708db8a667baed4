"""The first launch of a frame: all that depends on its parameters alone.

Three kinds of programs share the launch: vertices are posed and projected, buffers that later
kernels change by atomic operations are cleared, and the motion code is computed. References:
`Head.pose`, `rasterizer.project`, `MotionCode` with `TelewarpWarp.from_motion` and `.trust`.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.contract.channels import POSE_SIZE
from models.geometry.camera import NEAR_M
from models.geometry.rasterizer import LIMIT_PX, SUBPIXELS
from models.geometry.spherical_harmonics import BASES
from models.kernels.cuda.parameters import (
    BODY_SHIFT,
    CAMERA_ROTATION,
    CAMERA_TRANSLATION,
    CONDITIONING,
    EXPRESSION,
    FOCAL,
    HARMONICS,
    HEAD_ROTATION,
    HEAD_TRANSLATION,
    JOINT_CENTRES,
    JOINT_ROTATIONS,
    OLDER_CONDITIONING,
    OWN_VERTICES,
    SHARE,
)

EMPTY_KEY = tl.constexpr(0x7FFFFFFFFFFFFFFF)
"""Key of a pixel without a triangle: larger than that of any triangle."""
_NEAR = tl.constexpr(NEAR_M)
_LIMIT = tl.constexpr(LIMIT_PX)
_SUBPIXELS = tl.constexpr(SUBPIXELS)
_POSE = tl.constexpr(POSE_SIZE)
_BASES = tl.constexpr(BASES)
_JOINTS = tl.constexpr(5)
"""Joints of a head file: body, head, then the three that rotate."""


@triton.jit
def begin_frame(
    wide: tl.tensor,
    addresses: tl.tensor,
    narrow: tl.tensor,
    row: tl.tensor,
    neutral: tl.tensor,
    deltas: tl.tensor,
    weights: tl.tensor,
    own: tl.tensor,
    vertices: tl.tensor,
    coefficients: tl.tensor,
    world: tl.tensor,
    xy: tl.tensor,
    inverse: tl.tensor,
    size: tl.tensor,
    keys: tl.tensor,
    crossings: tl.tensor,
    extents: tl.tensor,
    change_weight: tl.tensor,
    now_weight: tl.tensor,
    harmonic_weight: tl.tensor,
    code_bias: tl.tensor,
    share_weight: tl.tensor,
    share_bias: tl.tensor,
    conditioning: tl.tensor,
    hidden: tl.tensor,
    half_trust: tl.tensor,
    full_trust: tl.tensor,
    code: tl.tensor,
    trust: tl.tensor,
    block: tl.constexpr,
    clear: tl.constexpr,
    inputs: tl.constexpr,
    codes: tl.constexpr,
    outputs: tl.constexpr,
    dtype: tl.constexpr,
) -> None:
    """Pose and project vertices, clear buffers, compute the motion code.

    Grid: (vertices / block + size^2 / clear + 1, B), each quotient rounded up.

    Args:
        wide: (B, row) float64 parameters, read for the camera.
        addresses: (B, row) int64: `wide` seen as int64, read for the addresses of the caches'
            tensors.
        narrow: (B, 2 row) float32: `wide` seen as float32, read for all other parameters.
        row: Length of a row, 8-byte words.
        neutral: (V, 3) as `Head.neutral`.
        deltas: (E, V, 3) displacements per coefficient, metres: of the expression, then of the
            jaw's correctives.
        weights: (V, 5) skinning weights.
        own: (B, V, 3) vertices of frames that bring their own, metres.
        vertices: V.
        coefficients: E.
        world: (B, V, 3) float32 filled: posed vertices, metres.
        xy: (B, V, 2) int32 filled: screen positions, 1/256 pixels.
        inverse: (B, V) float64 filled: inverse depths, 1/metres; 0 for culled vertices.
        size: Rows and columns of the image.
        keys: (B, H, W) int64, set to `EMPTY_KEY`.
        crossings: (B, H, W, 2) int32, see `cross_edges`; set to 0.
        extents: (B, 3, H/2) int32, see `resolve`; set to W/2, -1 and 0.
        change_weight: (32, K) weights of the motion code for the change of conditioning.
        now_weight: (32, K) for the conditioning.
        harmonic_weight: (32, 9) for the harmonics of the view.
        code_bias: (32,) bias of the motion code.
        share_weight: (hidden, 32) weights of `TelewarpWarp.from_motion`.
        share_bias: (hidden,) bias of `TelewarpWarp.from_motion`.
        conditioning: K: length of the conditioning vector.
        hidden: Channels of the first convolution.
        half_trust: Rotation at which the residual's weight falls to half, as
            `TelewarpWarp.half_trust`.
        full_trust: Weight of the residual without any rotation, `FULL_TRUST`.
        code: (B, hidden) filled: the motion code's contribution to the first convolution.
        trust: (B,) filled: weight of the residual.
        block: Vertices of a program.
        clear: Pixels that a program clears.
        inputs: K, rounded up to a power of two.
        codes: 32, the width of the motion code.
        outputs: `hidden`, rounded up to a power of two.
        dtype: Type of the cached conditioning in memory.
    """
    part = tl.program_id(0)
    frame = tl.program_id(1)
    wide += frame * row
    narrow += frame * row * 2
    posing = tl.cdiv(vertices, block)
    if part < posing:
        v = part * block + tl.arange(0, block)
        first = frame * vertices
        real = v < vertices
        x, y, z = _pose(
            narrow, neutral, deltas, weights, own + first * 3, vertices, coefficients, v, real
        )
        out = world + (first + v) * 3
        tl.store(out, x, mask=real)
        tl.store(out + 1, y, mask=real)
        tl.store(out + 2, z, mask=real)
        _project(wide, x, y, z, size, xy + (first + v) * 2, inverse + first + v, real)
    elif part < posing + tl.cdiv(size * size, clear):
        # The extents are far fewer than the keys, so the first of these programs clear them beside
        # the keys.
        i = (part - posing) * clear + tl.arange(0, clear)
        half = size // 2
        tl.store(keys + frame * size * size + i, EMPTY_KEY, mask=i < size * size)
        crossing = crossings + (frame * size * size + i) * 2
        tl.store(crossing, 0, mask=i < size * size)
        tl.store(crossing + 1, 0, mask=i < size * size)
        start = tl.where(i < half, half, tl.where(i < 2 * half, -1, 0))
        tl.store(extents + frame * 3 * half + i, start, mask=i < 3 * half)
    else:
        _motion(
            addresses + frame * row, narrow, change_weight, now_weight, harmonic_weight, code_bias,
            share_weight, share_bias, conditioning, hidden, half_trust, full_trust,
            code + frame * hidden, trust + frame, inputs, codes, outputs, dtype,
        )  # fmt: skip


@triton.jit
def _pose(
    narrow: tl.tensor,
    neutral: tl.tensor,
    deltas: tl.tensor,
    weights: tl.tensor,
    own: tl.tensor,
    vertices: tl.tensor,
    coefficients: tl.tensor,
    v: tl.tensor,
    real: tl.tensor,
) -> Any:
    """Return x, y and z of some vertices in the world, in the order of operations of `Head`."""
    body = tl.load(weights + v * _JOINTS, mask=real, other=0.0)
    if tl.load(narrow + OWN_VERTICES) > 0:
        x = tl.load(own + v * 3, mask=real, other=0.0)
        y = tl.load(own + v * 3 + 1, mask=real, other=0.0)
        z = tl.load(own + v * 3 + 2, mask=real, other=0.0)
        # The sender has posed them already, neck and body included.
        body = body * 0
    else:
        x, y, z = _shape(narrow, neutral, deltas, weights, vertices, coefficients, v, real)
    return (
        _to_world(narrow, 0, x, y, z, x, body),
        _to_world(narrow, 1, x, y, z, y, body),
        _to_world(narrow, 2, x, y, z, z, body),
    )


@triton.jit
def _shape(
    narrow: tl.tensor,
    neutral: tl.tensor,
    deltas: tl.tensor,
    weights: tl.tensor,
    vertices: tl.tensor,
    coefficients: tl.tensor,
    v: tl.tensor,
    real: tl.tensor,
) -> Any:
    """Return x, y and z of some vertices in head space."""
    x = tl.load(neutral + v * 3, mask=real, other=0.0)
    y = tl.load(neutral + v * 3 + 1, mask=real, other=0.0)
    z = tl.load(neutral + v * 3 + 2, mask=real, other=0.0)
    for e in range(coefficients):
        coefficient = tl.load(narrow + EXPRESSION + e)
        # Most coefficients of a face are 0, and each costs a pass over all vertices.
        if coefficient != 0:
            delta = deltas + (e * vertices + v) * 3
            x += coefficient * tl.load(delta, mask=real, other=0.0)
            y += coefficient * tl.load(delta + 1, mask=real, other=0.0)
            z += coefficient * tl.load(delta + 2, mask=real, other=0.0)
    for j in tl.static_range(3):
        w = tl.load(weights + v * _JOINTS + 2 + j, mask=real, other=0.0)
        dx = x - tl.load(narrow + JOINT_CENTRES + 3 * j)
        dy = y - tl.load(narrow + JOINT_CENTRES + 3 * j + 1)
        dz = z - tl.load(narrow + JOINT_CENTRES + 3 * j + 2)
        joint = narrow + JOINT_ROTATIONS + 9 * j
        x += w * (_turned(joint, dx, dy, dz) - dx)
        y += w * (_turned(joint + 3, dx, dy, dz) - dy)
        z += w * (_turned(joint + 6, dx, dy, dz) - dz)
    return x, y, z


@triton.jit
def _turned(matrix_row: tl.tensor, x: tl.tensor, y: tl.tensor, z: tl.tensor) -> Any:
    """Return the product of a row of a (3, 3) matrix with vectors."""
    return tl.load(matrix_row) * x + tl.load(matrix_row + 1) * y + tl.load(matrix_row + 2) * z


@triton.jit
def _to_world(
    narrow: tl.tensor,
    k: tl.constexpr,
    x: tl.tensor,
    y: tl.tensor,
    z: tl.tensor,
    own: tl.tensor,
    body: tl.tensor,
) -> Any:
    """Return coordinate `k` in the world; `body` is the share that does not rotate."""
    rotation = narrow + HEAD_ROTATION + 3 * k
    head = tl.load(narrow + HEAD_TRANSLATION + k) + tl.load(rotation) * x
    head += tl.load(rotation + 1) * y
    head += tl.load(rotation + 2) * z
    return head + body * (own + tl.load(narrow + BODY_SHIFT + k) - head)


@triton.jit
def _project(
    wide: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
    z: tl.tensor,
    size: tl.tensor,
    xy: tl.tensor,
    inverse: tl.tensor,
    real: tl.tensor,
) -> None:
    """Project vertices and snap them to 1/256 pixel."""
    # In float64, because snapped positions must equal those of the reference rasterizer.
    x, y, z = x.to(tl.float64), y.to(tl.float64), z.to(tl.float64)
    camera, shift = wide + CAMERA_ROTATION, wide + CAMERA_TRANSLATION
    right = _turned(camera, x, y, z) + tl.load(shift)
    up = _turned(camera + 3, x, y, z) + tl.load(shift + 1)
    back = _turned(camera + 6, x, y, z) + tl.load(shift + 2)
    seen = -back > _NEAR
    # Both branches are computed: -1 stands for depths whose quotient is not used, so that none is
    # 0.
    near = tl.where(seen, -1.0 / tl.where(seen, back, -1.0), 0.0)
    focal = tl.load(wide + FOCAL)
    half = size * 0.5
    across = _snap(half + focal * right * near)
    down = _snap(half - focal * up * near)
    tl.store(xy, tl.where(seen, across, 0), mask=real)
    tl.store(xy + 1, tl.where(seen, down, 0), mask=real)
    tl.store(inverse, near, mask=real)


@triton.jit
def _snap(pixels: tl.tensor) -> Any:
    """Return the nearest 1/256 pixel, clamped so that products of differences fit 64 bits."""
    clamped = tl.minimum(tl.maximum(pixels, -_LIMIT), _LIMIT)
    return tl.floor(clamped * _SUBPIXELS + 0.5).to(tl.int32)


@triton.jit
def _motion(
    addresses: tl.tensor,
    narrow: tl.tensor,
    change_weight: tl.tensor,
    now_weight: tl.tensor,
    harmonic_weight: tl.tensor,
    code_bias: tl.tensor,
    share_weight: tl.tensor,
    share_bias: tl.tensor,
    conditioning: tl.tensor,
    hidden: tl.tensor,
    half_trust: tl.tensor,
    full_trust: tl.tensor,
    code_out: tl.tensor,
    trust_out: tl.tensor,
    inputs: tl.constexpr,
    codes: tl.constexpr,
    outputs: tl.constexpr,
    dtype: tl.constexpr,
) -> None:
    """Compute the motion code's contribution to the first convolution, and the trust."""
    k = tl.arange(0, inputs)
    real = k < conditioning
    now = tl.load(narrow + CONDITIONING + k, mask=real, other=0.0)
    share = tl.load(narrow + SHARE)
    cached = load_mixed(addresses + OLDER_CONDITIONING, share, k, real, dtype)
    change = now - cached
    o = tl.arange(0, codes)
    at = o[:, None] * conditioning + k[None, :]
    both = real[None, :] & (o[:, None] >= 0)
    parts = tl.load(now_weight + at, mask=both, other=0.0) * now[None, :]
    parts += tl.load(change_weight + at, mask=both, other=0.0) * change[None, :]
    code = tl.load(code_bias + o) + tl.sum(parts, axis=1)
    # Nine bases, rounded up: Triton's ranges have powers of two as lengths.
    b = tl.arange(0, 16)
    bases = tl.load(narrow + HARMONICS + b, mask=b < _BASES, other=0.0)
    few = (b < _BASES)[None, :] & (o[:, None] >= 0)
    harmonic = tl.load(harmonic_weight + o[:, None] * _BASES + b[None, :], mask=few, other=0.0)
    code = tl.maximum(code + tl.sum(harmonic * bases[None, :], axis=1), 0.0)
    h = tl.arange(0, outputs)
    wanted = h < hidden
    weight = tl.load(
        share_weight + h[:, None] * codes + o[None, :], mask=wanted[:, None], other=0.0
    )
    made = tl.load(share_bias + h, mask=wanted, other=0.0)
    made += tl.sum(weight * code[None, :], axis=1)
    tl.store(code_out + h, made, mask=wanted)
    rotated = tl.sum(tl.where(k < _POSE, change * change, 0.0), axis=0)
    tl.store(trust_out, full_trust / (1 + rotated / (half_trust * half_trust)))


@triton.jit
def load_mixed(
    pair: tl.tensor, share: tl.tensor, offset: tl.tensor, mask: tl.tensor, dtype: tl.constexpr
) -> Any:
    """Load elements of a cache's tensor in float32, mixed during a crossfade.

    Args:
        pair: Address of the addresses of the older and the newer tensor.
        share: Weight of the newer one.
        offset: Elements.
        mask: Which of these elements to load; all others are 0.
        dtype: Type of the elements in memory.
    """
    newer = tl.load(pair + 1).to(tl.pointer_type(dtype))
    value = tl.load(newer + offset, mask=mask, other=0.0).to(tl.float32)
    if share < 1:
        older = tl.load(pair).to(tl.pointer_type(dtype))
        before = tl.load(older + offset, mask=mask, other=0.0).to(tl.float32)
        value = before + share * (value - before)
    return value
