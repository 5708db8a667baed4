"""Lights the painted head, sample by sample, on one core, without the interpreter lock.

Lights stand still in the world; the head turns among them. A warm key from the upper right of the
picture with a soft shadow, a cool fill, two rims behind, and a sky that is lighter than the floor.
What leaves here is still apart: paint, the light that falls on it, and what it mirrors, so that
`softening` can let light travel under the skin before `develop` puts all together.
"""

from __future__ import annotations

from math import exp, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.studio.eyeball import ON_IRIS, refract_into_iris, tilt_by_cornea

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SKIN, MOUTH, TEETH, TONGUE, EYE, LASH, HAIR, CLOTH = range(8)
"""What the shading tells apart; `studio` checks that head files number materials like this."""

KEY = np.array([0.56, 0.50, 0.66])
KEY /= np.linalg.norm(KEY)
_OTHERS = np.array(
    [
        # direction to the light, colour
        [-0.82, 0.10, 0.56, 0.30, 0.36, 0.46],
        [-0.66, 0.42, -0.62, 1.45, 1.60, 1.90],
        [0.80, 0.30, -0.52, 1.25, 1.06, 0.88],
    ]
)
_OTHERS[:, :3] /= np.linalg.norm(_OTHERS[:, :3], axis=1, keepdims=True)
_SKY = np.array([0.31, 0.335, 0.39])
_FLOOR = np.array([0.12, 0.105, 0.10])
_WRAP = np.array([0.17, 0.10, 0.07])
"""How far light bleeds around into the shade under skin, by colour: blood lets red through."""
_THROUGH = np.array([1.0, 0.20, 0.09])
"""What is left of light that came through an ear."""

_KEY_RIGHT = np.cross([0.0, 1.0, 0.0], KEY)
_KEY_RIGHT /= np.linalg.norm(_KEY_RIGHT)
_KEY_UP = np.cross(KEY, _KEY_RIGHT)


class Light(NamedTuple):
    """What reaches the viewer from each sample, still apart. All (H, W, 3), linear."""

    paint: Floats
    """Colour of the surface, with its fine relief."""
    received: Floats
    """Diffuse light that falls on it."""
    mirrored: Floats
    """Highlights and reflections."""


def make_lamps(key_colour: tuple[float, float, float]) -> Doubles:
    """(4, 6) direction to each lamp and its colour, the key first."""
    return np.vstack([np.concatenate([KEY, key_colour]), _OTHERS])


@njit(cache=True, nogil=True, inline="always")
def _smoothstep(low: float, high: float, x: float) -> float:
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@njit(cache=True, nogil=True)
def _sample(maps: Floats, u: float, v: float, channels: int, out: Floats) -> None:
    """Bilinear lookup of the first `channels` at (u, v) in 0..1."""
    size = maps.shape[0]
    x = min(max(u * size - 0.5, 0.0), size - 1.001)
    y = min(max(v * size - 0.5, 0.0), size - 1.001)
    ix, iy = int(x), int(y)
    fx, fy = np.float32(x - ix), np.float32(y - iy)
    one = np.float32(1.0)
    for c in range(channels):
        top = maps[iy, ix, c] * (one - fx) + maps[iy, ix + 1, c] * fx
        low = maps[iy + 1, ix, c] * (one - fx) + maps[iy + 1, ix + 1, c] * fx
        out[c] = top * (one - fy) + low * fy


@njit(cache=True, nogil=True)
def _lit_share(shadow: Floats, x: float, y: float, near: float, bias: float) -> float:
    """Share of the key light, 0..1, that passes the shadow map around (x, y): 4x4 soft filter."""
    size = shadow.shape[0]
    fx, fy = x - 0.5, y - 0.5
    ix, iy = int(fx), int(fy)
    if ix < 2 or iy < 2 or ix > size - 4 or iy > size - 4:
        return 1.0
    tx, ty = fx - ix, fy - iy
    lit = 0.0
    for dy in range(-1, 3):
        wy = (1.0 - ty) if dy == -1 else (ty if dy == 2 else 1.0)
        for dx in range(-1, 3):
            wx = (1.0 - tx) if dx == -1 else (tx if dx == 2 else 1.0)
            # Fades over a few millimetres, so that grazing surfaces do not flicker.
            gap = shadow[iy + dy, ix + dx] - near - bias
            lit += wx * wy * (1.0 - min(max(gap * 400.0, 0.0), 1.0))
    return lit / 9.0


@njit(cache=True, nogil=True, inline="always")
def _ggx(nl: float, nv: float, nh: float, roughness: float) -> float:
    """Distribution and visibility of a Cook-Torrance highlight, times n.l."""
    a = roughness * roughness
    a2 = a * a
    d = nh * nh * (a2 - 1.0) + 1.0
    k = a * 0.5
    visible = 1.0 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k) * 4.0)
    return visible * nl * a2 / (3.14159265 * d * d)


@njit(cache=True, nogil=True, inline="always")
def _power5(x: float) -> float:
    squared = x * x
    return squared * squared * x


@njit(cache=True, nogil=True, inline="always")
def _panel(r: Doubles, soft: float) -> float:
    """How much of the key's softbox, 0..1, is mirrored along `r`; `soft` blurs its edges."""
    depth = r[0] * KEY[0] + r[1] * KEY[1] + r[2] * KEY[2]
    if depth <= 0.1:
        return 0.0
    across = (r[0] * _KEY_RIGHT[0] + r[1] * _KEY_RIGHT[1] + r[2] * _KEY_RIGHT[2]) / depth
    along = (r[0] * _KEY_UP[0] + r[1] * _KEY_UP[1] + r[2] * _KEY_UP[2]) / depth
    return _smoothstep(0.32 + soft, 0.32 - soft, abs(across)) * _smoothstep(
        0.42 + soft, 0.42 - soft, abs(along)
    )


@njit(cache=True, nogil=True)
def shade(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: Doubles,
    faces: NDArray[np.int32],
    uv_faces: NDArray[np.int32],
    verts: Floats,
    normals: Floats,
    uvs: Floats,
    occlusion: Floats,
    folded: Floats,
    materials: NDArray[np.uint8],
    maps: Floats,
    crevices: Floats,
    shadow: Floats,
    light_frame: Doubles,
    lamps: Doubles,
    head_rotation: Doubles,
    eyeballs: Doubles,
    eye_position: Doubles,
    paint: Floats,
    received: Floats,
    mirrored: Floats,
) -> None:
    """Light every covered sample.

    Args:
        triangle: (H, W) seen triangle, -1 for none.
        xy: (V, 2) snapped screen positions.
        inverse_depth: (V,).
        faces: (F, 3).
        uv_faces: (F, 3).
        verts: (V, 3) world.
        normals: (V, 3) world.
        uvs: (T, 2).
        occlusion: (V,) share of the sky seen.
        folded: (V,) how far the wrinkles of this expression show.
        materials: (F,) as numbered above.
        maps: (S, S, CHANNELS) paint; see `paint.PaintedHead`.
        crevices: (H / 2, W / 2) share of the light that reaches into folds of the picture.
        shadow: (L, L) nearness to the key light of what it meets first.
        light_frame: (3, 4) world to shadow map: x, y in its pixels and nearness in metres.
        lamps: (4, 6) as `make_lamps`.
        head_rotation: (3, 3) head to world.
        eyeballs: (2, EYEBALL_NUMBERS) of left and right, as `eyeball.track_eyeballs`.
        eye_position: (3,) of the viewer, world.
        paint: (H, W, 3), filled as `Light.paint`.
        received: (H, W, 3), filled as `Light.received`.
        mirrored: (H, W, 3), filled as `Light.mirrored`.
    """
    height, width = triangle.shape
    m = np.zeros(maps.shape[2], np.float32)
    n = np.empty(3)
    flat = np.empty(3)
    v = np.empty(3)
    r = np.empty(3)
    local = np.empty(3)
    for y in range(height):
        for x in range(width):
            f = triangle[y, x]
            if f < 0:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            px, py = x * 256 + 128, y * 256 + 128
            ea = (xy[b, 0] - px) * (xy[c, 1] - py) - (xy[b, 1] - py) * (xy[c, 0] - px)
            eb = (xy[c, 0] - px) * (xy[a, 1] - py) - (xy[c, 1] - py) * (xy[a, 0] - px)
            ec = (xy[a, 0] - px) * (xy[b, 1] - py) - (xy[a, 1] - py) * (xy[b, 0] - px)
            wa, wb, wc = ea * inverse_depth[a], eb * inverse_depth[b], ec * inverse_depth[c]
            total = wa + wb + wc
            wa, wb, wc = wa / total, wb / total, wc / total
            material = materials[f]
            p0 = wa * verts[a, 0] + wb * verts[b, 0] + wc * verts[c, 0]
            p1 = wa * verts[a, 1] + wb * verts[b, 1] + wc * verts[c, 1]
            p2 = wa * verts[a, 2] + wb * verts[b, 2] + wc * verts[c, 2]
            length = 0.0
            for i in range(3):
                flat[i] = wa * normals[a, i] + wb * normals[b, i] + wc * normals[c, i]
                length += flat[i] * flat[i]
            v[0], v[1], v[2] = eye_position[0] - p0, eye_position[1] - p1, eye_position[2] - p2
            reach = 1.0 / sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
            length = 1.0 / sqrt(max(length, 1e-12))
            for i in range(3):
                flat[i] *= length
                v[i] *= reach
            ta, tb, tc = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
            u_at = wa * uvs[ta, 0] + wb * uvs[tb, 0] + wc * uvs[tc, 0]
            v_at = wa * uvs[ta, 1] + wb * uvs[tb, 1] + wc * uvs[tc, 1]
            open_sky = wa * occlusion[a] + wb * occlusion[b] + wc * occlusion[c]
            crevice = crevices[y >> 1, x >> 1]
            for i in range(3):
                n[i] = flat[i]
            wet = 0.0
            if material == EYE:
                d0 = d1 = 0.0
                for i in range(3):
                    p = p0 if i == 0 else (p1 if i == 1 else p2)
                    d0 += (p - eyeballs[0, i]) ** 2
                    d1 += (p - eyeballs[1, i]) ** 2
                ball = eyeballs[0] if d0 < d1 else eyeballs[1]
                open_sky = _eye_shade(p0, p1, p2, ball, head_rotation)
                wet = tilt_by_cornea(p0, p1, p2, ball, n)
                if wet > ON_IRIS:
                    u_at, v_at = refract_into_iris(p0, p1, p2, ball, n, v, local)
            _sample(maps, u_at, v_at, maps.shape[2] if material == SKIN else 8, m)
            # The paint's relief (or strand direction) turns with what it is painted on.
            r0, r1, r2 = np.float64(m[5]), np.float64(m[6]), np.float64(m[7])
            crease = 0.0
            if material == SKIN:
                fold = wa * folded[a] + wb * folded[b] + wc * folded[c]
                if fold > 0.01:
                    r0 += fold * m[9]
                    r1 += fold * m[10]
                    r2 += fold * m[11]
                    crease = fold * m[12]
            if material != CLOTH:
                s0 = head_rotation[0, 0] * r0 + head_rotation[0, 1] * r1 + head_rotation[0, 2] * r2
                s1 = head_rotation[1, 0] * r0 + head_rotation[1, 1] * r1 + head_rotation[1, 2] * r2
                s2 = head_rotation[2, 0] * r0 + head_rotation[2, 1] * r1 + head_rotation[2, 2] * r2
                r0, r1, r2 = s0, s1, s2
            if material != HAIR and material != EYE:
                n[0], n[1], n[2] = flat[0] + r0, flat[1] + r1, flat[2] + r2
                length = 1.0 / sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
                n[0] *= length
                n[1] *= length
                n[2] *= length
            nv = max(n[0] * v[0] + n[1] * v[1] + n[2] * v[2], 0.02)
            sx = light_frame[0, 0] * p0 + light_frame[0, 1] * p1 + light_frame[0, 2] * p2
            sy = light_frame[1, 0] * p0 + light_frame[1, 1] * p1 + light_frame[1, 2] * p2
            sz = light_frame[2, 0] * p0 + light_frame[2, 1] * p1 + light_frame[2, 2] * p2
            lit = _lit_share(
                shadow,
                sx + light_frame[0, 3],
                sy + light_frame[1, 3],
                sz + light_frame[2, 3],
                0.0025 if material != EYE else 0.004,
            )
            ambient = open_sky * crevice if material != LASH else 1.0
            # Dim everything that is deep inside (mouth, nostrils), lamps included.
            inside = _smoothstep(0.0, 0.45, open_sky) * (0.45 + 0.55 * crevice)
            if material == TEETH:
                # Between open lips teeth catch more light than the baked half-open mouth allows.
                # Their backs see nothing but the mouth.
                forward = 0.0
                for i in range(3):
                    forward += head_rotation[i, 2] * flat[i]
                front = 0.2 + 0.8 * _smoothstep(-0.2, 0.5, forward)
                ambient = max(ambient, 0.42) * front
                inside = (0.45 + 0.55 * inside) * front
                lit = 0.5 + 0.5 * lit
            elif material == TONGUE:
                ambient = max(ambient, 0.22)
                inside = 0.30 + 0.70 * inside
            up = 0.5 + 0.5 * flat[1]
            facing = 2.0 * (n[0] * v[0] + n[1] * v[1] + n[2] * v[2])
            for i in range(3):
                r[i] = facing * n[i] - v[i]
            # Light that bounces inside a crease keeps the surface's own red.
            for i in range(3):
                sky = _FLOOR[i] + (_SKY[i] - _FLOOR[i]) * up
                received[y, x, i] = sky * ambient / (1.0 - m[i] * 0.65 * (1.0 - ambient))
                mirrored[y, x, i] = 0.0
            change = 0.0
            for k in range(4):
                l0, l1, l2 = lamps[k, 0], lamps[k, 1], lamps[k, 2]
                nl = n[0] * l0 + n[1] * l1 + n[2] * l2
                soft = flat[0] * l0 + flat[1] * l1 + flat[2] * l2
                strength = 0.0
                if material == HAIR:
                    strength = _strand_light(lamps[k], v, r0, r1, r2, soft, m[4])
                elif material == EYE:
                    if wet > ON_IRIS:
                        # The iris is a shallow bowl: the side away from the lamp is lit.
                        nl = 0.75 * (local[0] * l0 + local[1] * l1 + local[2] * l2) + 0.12
                        soft = nl
                elif nl > 0.0:
                    h0, h1, h2 = l0 + v[0], l1 + v[1], l2 + v[2]
                    hl = 1.0 / sqrt(max(h0 * h0 + h1 * h1 + h2 * h2, 1e-9))
                    nh = max((n[0] * h0 + n[1] * h1 + n[2] * h2) * hl, 0.0)
                    fresnel = 0.035 + 0.965 * _power5(
                        1.0 - max((v[0] * h0 + v[1] * h1 + v[2] * h2) * hl, 0.0)
                    )
                    rough = max(m[3], 0.12)
                    lobe = _ggx(nl, nv, nh, rough)
                    if material == SKIN:
                        # Skin has two lobes: a broad one of the horn, a tight one of the oil.
                        lobe = 0.72 * _ggx(nl, nv, nh, min(rough * 1.25, 1.0)) + 0.34 * _ggx(
                            nl, nv, nh, rough * 0.66
                        )
                    strength = m[4] * fresnel * lobe * _smoothstep(0.15, 0.75, crevice)
                if k == 0:
                    change = nl - soft
                for i in range(3):
                    passed = inside
                    if k == 0:
                        passed *= lit
                    if material == HAIR:
                        wrapped = max((soft + 0.25) / 1.25, 0.0) * 0.8
                    elif material == SKIN:
                        wrapped = max((soft + _WRAP[i]) / (1.0 + _WRAP[i]), 0.0)
                        if m[8] > 0.02 and soft < 0.3:
                            wrapped += m[8] * _THROUGH[i] * 0.42 * (0.3 - soft)
                    elif material in (TONGUE, MOUTH):
                        wrapped = max((nl + _WRAP[i]) / (1.0 + _WRAP[i]), 0.0)
                    elif material == EYE:
                        wrapped = max((nl + 0.22) / 1.22, 0.0)
                    else:
                        wrapped = max((nl + 0.06) / 1.06, 0.0)
                    received[y, x, i] += lamps[k, 3 + i] * passed * wrapped
                    mirrored[y, x, i] += lamps[k, 3 + i] * passed * strength
            edge = _power5(1.0 - nv)
            sky_up = 0.5 + 0.5 * r[1]
            if material == EYE:
                # Wet: the room, the key's softbox with its edges, and the fill's, dimmer.
                veil = 0.35 + 0.65 * _smoothstep(0.15, 0.6, open_sky * crevice)
                fresnel = 0.026 + 0.974 * edge
                fill = r[0] * lamps[1, 0] + r[1] * lamps[1, 1] + r[2] * lamps[1, 2]
                for i in range(3):
                    room = _FLOOR[i] + (_SKY[i] - _FLOOR[i]) * _smoothstep(0.25, 0.8, sky_up)
                    shine = fresnel * room * 1.6 * open_sky
                    shine += veil * _panel(r, 0.035) * 1.25 * (0.12 + 0.88 * wet) * lamps[0, 3 + i]
                    shine += veil * 0.22 * _smoothstep(0.955, 0.975, fill) * lamps[1, 3 + i]
                    mirrored[y, x, i] += shine
            elif material == SKIN:
                sheen = m[4] * (0.03 + max(0.75 - m[3], 0.04) * edge) * ambient
                for i in range(3):
                    room = _FLOOR[i] + (_SKY[i] - _FLOOR[i]) * sky_up
                    mirrored[y, x, i] += sheen * room * 1.5
                    # Relief shows less in red, which has travelled under the skin.
                    share = 0.55 if i == 0 else (0.85 if i == 1 else 1.0)
                    m[i] *= min(max(1.0 + share * change * (0.35 + 0.65 * lit), 0.5), 1.5)
                    m[i] *= 1.0 - crease * (0.30 if i == 0 else 0.36)
            elif material == CLOTH:
                # Fibres catch light at grazing angles.
                for i in range(3):
                    mirrored[y, x, i] += 0.10 * (1.0 - nv) ** 3 * ambient * _SKY[i]
            elif material in (TEETH, TONGUE):
                for i in range(3):
                    mirrored[y, x, i] += (0.03 + 0.5 * edge) * ambient * inside * _SKY[i] * m[4]
            for i in range(3):
                paint[y, x, i] = m[i]


@njit(cache=True, nogil=True, inline="always")
def _eye_shade(p0: float, p1: float, p2: float, ball: Doubles, rotation: Doubles) -> float:
    """The lids' shade on an eyeball: from above, and into the corners. In head space."""
    x, y, z = p0 - ball[0], p1 - ball[1], p2 - ball[2]
    hx = rotation[0, 0] * x + rotation[1, 0] * y + rotation[2, 0] * z
    hy = rotation[0, 1] * x + rotation[1, 1] * y + rotation[2, 1] * z
    above = 1.0 - 0.58 * _smoothstep(0.0002, 0.0062, hy)
    below = 1.0 - 0.22 * _smoothstep(-0.0035, -0.0062, hy)
    corner = 1.0 - 0.62 * _smoothstep(0.0055, 0.0130, abs(hx))
    return above * below * corner


@njit(cache=True, nogil=True, inline="always")
def _strand_light(
    lamp: Doubles,
    view: Doubles,
    t0: float,
    t1: float,
    t2: float,
    soft: float,
    strength: float,
) -> float:
    """Kajiya-Kay highlight of a strand along (t0, t1, t2): a white and a wider second lobe."""
    length = 1.0 / sqrt(max(t0 * t0 + t1 * t1 + t2 * t2, 1e-9))
    h0, h1, h2 = lamp[0] + view[0], lamp[1] + view[1], lamp[2] + view[2]
    hl = 1.0 / sqrt(max(h0 * h0 + h1 * h1 + h2 * h2, 1e-9))
    th = (t0 * h0 + t1 * h1 + t2 * h2) * length * hl
    facing = _smoothstep(-0.25, 0.35, soft)
    first = exp(-((th - 0.06) ** 2) * 90.0)
    second = exp(-((th + 0.10) ** 2) * 16.0)
    return facing * strength * (0.055 * first + 0.022 * second)
