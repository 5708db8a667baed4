"""Lights the painted head, sample by sample, on one core, without the interpreter lock.

The lights are fixed in the world; the head turns among them. The result keeps albedo, diffuse light
and highlights apart, so that `post_processing` can let light travel under the skin before `expose`
joins them.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.geometry.rasterizer_numba import corner_weights
from models.studio.eyeball import ON_IRIS, refract_into_iris, tilt_by_cornea
from models.studio.interpolation import (
    MIN_FOLD,
    blend,
    blend_uvs,
    blend_vectors,
    corners_of,
    nearest_eyeball,
    normalized,
    relief_of,
    sample_texture,
    towards,
)
from models.studio.lamps import KEY_LIGHT, LAMPS, shadow_lookup
from models.studio.materials import EYE, HAIR, SKIN
from models.studio.reflectance import (
    Doubles,
    Floats,
    Vector,
    column,
    dot,
    power5,
    reflect,
    row,
    scaled,
)
from models.studio.shading import (
    Local,
    Paint,
    ambient_light,
    diffuse,
    eyelid_shade,
    highlight,
    lamp_cosines,
    light_visibility,
    reflection,
    skin_albedo,
)
from models.studio.texture_channels import (
    CHANNELS,
    COMMON_CHANNELS,
    FOLD_DEPTH,
    ROUGHNESS,
    SPECULAR,
    THINNESS,
)

_SHADOW_BIAS_M, _SHADOW_BIAS_EYE_M = 0.0025, 0.004
"""Larger for eyes: the lids' mesh must not shade them, `eyelid_shade` does. Chosen by eye."""
_MIN_VIEW_COSINE = 0.02  # surfaces seen edge-on must not divide by 0


class Surface(NamedTuple):
    """The posed, painted mesh, and which of it each sample sees."""

    triangle: NDArray[np.int32]
    """(H, W) visible triangle, -1 for none."""
    xy: NDArray[np.int64]
    """(V, 2) snapped screen positions."""
    inverse_depth: Doubles
    """(V,) 1/metres."""
    faces: NDArray[np.int32]
    """(F, 3) vertices of each triangle."""
    uv_faces: NDArray[np.int32]
    """(F, 3) rows of `uvs` for the corners of each triangle."""
    verts: Floats
    """(V, 3) world, metres."""
    normals: Floats
    """(V, 3) world."""
    uvs: Floats
    """(T, 2) texture coordinates, 0..1."""
    occlusion: Floats
    """(V,) share of the sky that is visible."""
    folded: Floats
    """(V,) how far the wrinkles of this expression are folded, 0..1."""
    materials: NDArray[np.uint8]
    """(F,) indices into `materials.MATERIALS`."""
    maps: Floats
    """(S, S, CHANNELS) painted textures; see `paint.PaintedHead`."""
    crevices: Floats
    """(H / 2, W / 2) share of the light that reaches into folds of the image."""


class Lights(NamedTuple):
    """The lamps, and what shadows the key light."""

    lamps: Doubles
    """(4, 6) as `lamps.make_lamps`."""
    shadow: Floats
    """(L, L) nearness to the key light of what it meets first, metres."""
    world_to_shadow: Doubles
    """(3, 4): column and row in the shadow map, and nearness in metres."""


class Pose(NamedTuple):
    """Where head, eyeballs and viewer are."""

    head_rotation: Doubles
    """(3, 3) head to world."""
    eyeballs: Doubles
    """(2, EYEBALL_NUMBERS) of left and right, as `eyeball.Eyeballs.track`."""
    eye_position: Doubles
    """(3,) of the viewer, world, metres."""


class Light(NamedTuple):
    """What each sample sends to the viewer, in parts; all (H, W, 3), linear."""

    albedo: Floats
    """Colour of the surface, with its fine relief."""
    irradiance: Floats
    """Diffuse light that falls on it."""
    specular: Floats
    """Highlights and reflections."""


@njit(cache=True, nogil=True)
def shade(surface: Surface, lights: Lights, pose: Pose, light: Light) -> None:
    """Light every covered sample.

    Args:
        surface: The mesh and what is visible of it.
        lights: Lamps and shadow.
        pose: Pose of head, eyeballs and viewer.
        light: Filled where a sample is covered.
    """
    # Unpacked once: a field looked up in the loop costs atomic operations in every sample.
    triangle, xy, inverse_depth, faces, uv_faces, verts, normals, uvs = surface[:8]
    occlusion, folded, materials, maps, crevices = surface[8:]
    lamps, shadow, world_to_shadow = lights
    head_rotation, eyeballs, eye_position = pose
    albedo, irradiance, specular = light
    # Scratch space, allocated once instead of once per sample.
    texel = np.zeros(CHANNELS, np.float32)
    cornea, iris = np.zeros(3), np.zeros(3)
    for y in range(triangle.shape[0]):
        for x in range(triangle.shape[1]):
            face = triangle[y, x]
            if face < 0:
                continue
            material = materials[face]
            corners = corners_of(faces, face)
            weights = corner_weights(x, y, face, xy, inverse_depth, faces)
            point = blend_vectors(verts, corners, weights)
            smooth = normalized(blend_vectors(normals, corners, weights))
            to_viewer = towards(eye_position, point)
            u, v = blend_uvs(uvs, corners_of(uv_faces, face), weights)
            open_sky = blend(occlusion, corners, weights)
            wet = 0.0
            if material == EYE:
                ball = nearest_eyeball(point, eyeballs)
                open_sky = eyelid_shade(point, ball, head_rotation)
                cornea[0], cornea[1], cornea[2] = smooth
                wet, u, v = _look_into_eye(point, ball, to_viewer, u, v, cornea, iris)
            # Only skin has the channels after the common ones.
            sample_texture(maps, u, v, CHANNELS if material == SKIN else COMMON_CHANNELS, texel)
            fold = blend(folded, corners, weights) if material == SKIN else 0.0
            relief = relief_of(texel, material, fold, head_rotation)
            crevice = np.float64(crevices[y >> 1, x >> 1])
            bias = _SHADOW_BIAS_EYE_M if material == EYE else _SHADOW_BIAS_M
            lit = shadow_lookup(shadow, world_to_shadow, point, bias)
            forward = dot(column(head_rotation, 2), smooth)
            local = Local(
                material,
                smooth,
                _normal(material, smooth, relief, cornea),
                to_viewer,
                relief,
                (iris[0], iris[1], iris[2]),
                wet,
                open_sky,
                crevice,
                light_visibility(material, open_sky, crevice, lit, forward),
                _paint_of(texel, fold),
            )
            _light_sample(local, lamps, y, x, albedo, irradiance, specular)


@njit(cache=True, nogil=True, inline="always")
def _look_into_eye(
    point: Vector,
    ball: Doubles,
    to_viewer: Vector,
    u: float,
    v: float,
    cornea: Doubles,
    iris: Doubles,
) -> tuple[float, float, float]:
    """Tilt the normal `cornea` by the cornea, and follow the view through it to the iris.

    Returns:
        Share of the cornea's curve, as `tilt_by_cornea`, and the texture coordinates that are seen:
        `u` and `v` beside the iris.
    """
    p0, p1, p2 = point
    wet = tilt_by_cornea(p0, p1, p2, ball, cornea)
    if wet > ON_IRIS:
        u, v = refract_into_iris(p0, p1, p2, ball, cornea, to_viewer, iris)
    return wet, u, v


@njit(cache=True, nogil=True, inline="always")
def _paint_of(texel: Floats, fold: float) -> Paint:
    """Return the paint of a texel; `fold` is how far its wrinkle is folded."""
    return Paint(
        (texel[0], texel[1], texel[2]),
        texel[ROUGHNESS],
        texel[SPECULAR],
        texel[THINNESS],
        fold * texel[FOLD_DEPTH] if fold > MIN_FOLD else 0.0,
    )


@njit(cache=True, nogil=True, inline="always")
def _light_sample(
    local: Local,
    lamps: Doubles,
    y: int,
    x: int,
    albedo: Floats,
    irradiance: Floats,
    specular: Floats,
) -> None:
    """Gather the light of sky, lamps and room; fill row `y`, column `x` of the last three."""
    nv = max(dot(local.normal, local.to_viewer), _MIN_VIEW_COSINE)
    for i in range(3):
        irradiance[y, x, i] = ambient_light(local, i)
        specular[y, x, i] = 0.0
    for k in range(LAMPS):
        direction = row(lamps, k)
        nl, soft = lamp_cosines(local, direction)
        strength = highlight(local, direction, nl, nv, soft)
        passed = local.visibility.inside
        if k == KEY_LIGHT:
            passed *= local.visibility.lit
        for i in range(3):
            share = diffuse(local, nl, soft, i)
            irradiance[y, x, i] += lamps[k, 3 + i] * passed * share
            specular[y, x, i] += lamps[k, 3 + i] * passed * strength
    reflected = reflect(local.normal, local.to_viewer)
    edge = power5(1.0 - nv)
    for i in range(3):
        specular[y, x, i] += reflection(local, reflected, nv, edge, lamps, i)
        if local.material == SKIN:
            albedo[y, x, i] = skin_albedo(local, row(lamps, KEY_LIGHT), i)
        else:
            albedo[y, x, i] = local.paint.colour[i]


@njit(cache=True, nogil=True, inline="always")
def _normal(material: int, smooth: Vector, relief: Vector, cornea: Doubles) -> Vector:
    """Return the unit normal with relief; hair has none, and that of eyes is the cornea's."""
    if material == EYE:
        return cornea[0], cornea[1], cornea[2]
    if material == HAIR:
        return smooth
    normal = (smooth[0] + relief[0], smooth[1] + relief[1], smooth[2] + relief[2])
    return scaled(normal, 1.0 / sqrt(dot(normal, normal)))
