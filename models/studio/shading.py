"""How each material reflects light: diffuse light, highlights and reflections of one sample.

All functions are compiled into the loop of `lighting.shade`. Amounts that name no source are chosen
by eye, on renders of the two shipped heads at 384x384.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.geometry.smoothstep import scalar_smoothstep
from models.studio.eyeball import ON_IRIS
from models.studio.lamps import FILL_LIGHT, KEY_LIGHT, SKY, sky_light, softbox
from models.studio.materials import CLOTH, EYE, HAIR, LASH, MOUTH, SKIN, TEETH, TONGUE
from models.studio.reflectance import (
    Doubles,
    Vector,
    dot,
    ggx,
    half_vector,
    power5,
    row,
    strand_highlight,
)

BLOOD_WRAP = np.array([0.17, 0.10, 0.07])
"""How far light bleeds around into the shade under skin, by channel: blood lets red through."""
_TRANSMITTED = np.array([1.0, 0.20, 0.09])
"""Colour of the light that came through an ear."""
_TRANSMISSION = 0.42
_TRANSMITTED_BELOW = 0.3
"""Cosine between normal and light below which light comes through from behind."""
_MIN_THINNESS = 0.02

_BOUNCE = 0.65
"""Share of the light in a crease that hits the surface again and takes on its colour."""

_EYE_WRAP = 0.22
_OTHER_WRAP = 0.06
"""How far lamps light around the shade's edge, as a cosine."""
_HAIR_WRAP, _HAIR_DIFFUSE = 0.25, 0.8

_MIN_ROUGHNESS = 0.12
"""Below it highlights are smaller than a sample and flicker."""
_F0, _F0_EYE = 0.035, 0.026
"""Reflectance at normal incidence, as of refractive indices 1.46 and 1.38."""

_SHEEN = 1.5
"""How much brighter skin mirrors the sky than its diffuse light shows it."""

_IRIS_CONTRAST, _IRIS_FILL = 0.75, 0.12
_SOFTBOX_BLUR = 0.035
"""Blur of the softbox's reflection in the cornea, as a tangent: keeps the edges from aliasing."""

_RELIEF_SHARE = np.array([0.55, 0.85, 1.0])
"""Relief shows less in red, which has travelled under the skin."""
_CREASE_SHADE = np.array([0.30, 0.36, 0.36])
"""How much folded wrinkles darken skin, by channel."""


# Light that reaches into cavities.
_CAVITY_SKY, _CREVICE_LEAST = (0.0, 0.45), 0.45
"""Share of open sky between which lamps reach into a cavity (mouth, nostrils), and the share of
their light that reaches into any fold of the image."""
_TEETH_BACK, _TEETH_FORWARD = 0.2, (-0.2, 0.5)
"""Light on the backs of teeth, which see nothing but the mouth, and cosines with the head's forward
axis over which backs become fronts."""
_TEETH_SKY, _TEETH_INSIDE, _TEETH_LIT = 0.42, 0.45, 0.5
_TONGUE_SKY, _TONGUE_INSIDE = 0.22, 0.30
"""Least shares of the light of sky, lamps, and key light: between open lips teeth and tongue catch
more light than the baked half-open mouth allows."""

# Skin has two lobes: a broad one of the horny layer, a tight one of its oil.
_BROAD_SHARE, _BROAD_ROUGHER = 0.72, 1.25
_TIGHT_SHARE, _TIGHT_ROUGHER = 0.34, 0.66
"""Strength of each lobe, and its roughness by that of the paint."""
_GLOSS_CREVICE = (0.15, 0.75)
"""Light that reaches into folds, over which highlights fade in: none lie in a fold."""

_FUZZ, _FUZZ_POWER = 0.10, 3
"""Fibres of cloth catch light at grazing angles: strength, and power of 1 - n.v."""
_WET, _WET_EDGE = 0.03, 0.5
"""Reflectance of wet teeth and tongue, and how much more at grazing angles."""
_SHEEN_LEAST, _SHEEN_SMOOTH, _SHEEN_ROUGH = 0.03, 0.75, 0.04
"""Reflectance of oily skin; at grazing angles it grows by the second less the roughness, at least
by the third."""

# Reflections in a wet eye.
_VEIL_LEAST, _VEIL_SKY = 0.35, (0.15, 0.6)
"""Share of the softboxes that is mirrored below lids, and open sky over which it becomes all."""
_HORIZON, _ROOM = (0.25, 0.8), 1.6
"""Heights (0 down, 1 up) of the mirrored room's floor and sky, and its brightness."""
_KEY_MIRRORED, _DRY_LEAST = 1.25, 0.12
"""Brightness of the key's softbox in the cornea, and the share of it on the sclera."""
_FILL_MIRRORED, _FILL_COSINES = 0.22, (0.955, 0.975)
"""Brightness of the fill light's round box, and cosines of its edge: 13 to 17 degrees around."""

_RELIEF_SHADED = 0.35
"""Share of the contrast of skin's relief that is left in shadow."""
_MIN_RELIEF, _MAX_RELIEF = 0.5, 1.5
"""Limits of that contrast, as factors of the colour."""

# Shade of the lids: metres from the eyeball's middle at which it begins and is full, for lids of a
# 12 mm eye, and the share of light that it takes.
_UPPER_LID_M, _UPPER_SHADE = (0.0002, 0.0062), 0.58
_LOWER_LID_M, _LOWER_SHADE = (-0.0035, -0.0062), 0.22
_CORNER_M, _CORNER_SHADE = (0.0055, 0.0130), 0.62


class LightVisibility(NamedTuple):
    """How much of each light reaches a sample; each 0..1."""

    ambient: float
    """Share of the sky's light."""
    inside: float
    """Share of the lamps' light that reaches into the cavity the sample lies in."""
    lit: float
    """Share of the key light that is not in shadow."""


class Paint(NamedTuple):
    """The painted textures at one sample."""

    colour: Vector
    """Linear RGB."""
    roughness: float
    specular: float
    """Strength of highlights."""
    thinness: float
    """Translucency of skin, 0..1."""
    crease: float
    """Depth of the folded wrinkle in skin, 0..1."""


class Local(NamedTuple):
    """Directions, visibility of the lights, and paint at one sample."""

    material: int
    """Index into `MATERIALS`."""
    smooth: Vector
    """Unit normal of the surface without its relief, world."""
    normal: Vector
    """Unit normal with relief, world; of eyes the cornea's."""
    to_viewer: Vector
    """Unit vector, world."""
    relief: Vector
    """Relief in world space; of hair the direction of the strands."""
    iris: Vector
    """Unit normal of the iris where the cornea shows it."""
    wet: float
    """Share of the cornea's curve, 0..1; above `ON_IRIS` the iris is visible."""
    open_sky: float
    """Share of the sky that occlusion leaves open, 0..1."""
    crevice: float
    """Share of the light that reaches into folds of the image, 0..1."""
    visibility: LightVisibility
    paint: Paint


@njit(cache=True, nogil=True, inline="always")
def light_visibility(
    material: int, open_sky: float, crevice: float, lit: float, forward: float
) -> LightVisibility:
    """Return how much of each light reaches a sample.

    Args:
        material: Index into `MATERIALS`.
        open_sky: Share of the sky that occlusion leaves open.
        crevice: Share of the light that reaches into folds of the image.
        lit: Share of the key light that passes the shadow map.
        forward: Cosine between the smooth normal and the head's forward axis.
    """
    ambient = open_sky * crevice if material != LASH else 1.0
    # Dim everything that is deep inside (mouth, nostrils), lamps included.
    cavity = scalar_smoothstep(_CAVITY_SKY[0], _CAVITY_SKY[1], open_sky)
    inside = cavity * (_CREVICE_LEAST + (1.0 - _CREVICE_LEAST) * crevice)
    if material == TEETH:
        turned = scalar_smoothstep(_TEETH_FORWARD[0], _TEETH_FORWARD[1], forward)
        front = _TEETH_BACK + (1.0 - _TEETH_BACK) * turned
        ambient = max(ambient, _TEETH_SKY) * front
        inside = (_TEETH_INSIDE + (1.0 - _TEETH_INSIDE) * inside) * front
        lit = _TEETH_LIT + (1.0 - _TEETH_LIT) * lit
    elif material == TONGUE:
        ambient = max(ambient, _TONGUE_SKY)
        inside = _TONGUE_INSIDE + (1.0 - _TONGUE_INSIDE) * inside
    return LightVisibility(ambient, inside, lit)


@njit(cache=True, nogil=True, inline="always")
def ambient_light(local: Local, channel: int) -> float:
    """Return the light of sky and floor on a sample, with what bounces inside creases.

    Light that bounces inside a crease keeps the surface's own colour.
    """
    sky = sky_light(0.5 + 0.5 * local.smooth[1], channel)
    ambient = local.visibility.ambient
    return sky * ambient / (1.0 - local.paint.colour[channel] * _BOUNCE * (1.0 - ambient))


@njit(cache=True, nogil=True, inline="always")
def lamp_cosines(local: Local, direction: Vector) -> tuple[float, float]:
    """Return the cosines of normal and smooth normal with the direction to a lamp."""
    if local.material == EYE and local.wet > ON_IRIS:
        # The iris is a shallow bowl: the side away from the lamp is lit.
        bowl = _IRIS_CONTRAST * dot(local.iris, direction) + _IRIS_FILL
        return bowl, bowl
    return dot(local.normal, direction), dot(local.smooth, direction)


@njit(cache=True, nogil=True, inline="always")
def diffuse(local: Local, nl: float, soft: float, channel: int) -> float:
    """Return the share of a lamp's light that a sample reflects diffusely.

    Args:
        local: The sample.
        nl: Cosine between normal and light.
        soft: Cosine between smooth normal and light.
        channel: 0 red, 1 green, 2 blue.
    """
    material = local.material
    if material == SKIN:
        return _skin_diffuse(soft, local.paint.thinness, channel)
    if material == HAIR:
        return max((soft + _HAIR_WRAP) / (1.0 + _HAIR_WRAP), 0.0) * _HAIR_DIFFUSE
    wrap: float = _OTHER_WRAP
    if material == EYE:
        wrap = _EYE_WRAP
    elif material in (TONGUE, MOUTH):
        wrap = BLOOD_WRAP[channel]
    return max((nl + wrap) / (1.0 + wrap), 0.0)


@njit(cache=True, nogil=True, inline="always")
def _skin_diffuse(soft: float, thinness: float, channel: int) -> float:
    """Return wrapped diffuse light of skin, and what comes through where it is thin."""
    wrap: float = BLOOD_WRAP[channel]
    wrapped = max((soft + wrap) / (1.0 + wrap), 0.0)
    if thinness > _MIN_THINNESS and soft < _TRANSMITTED_BELOW:
        wrapped += thinness * _TRANSMITTED[channel] * _TRANSMISSION * (_TRANSMITTED_BELOW - soft)
    return wrapped


@njit(cache=True, nogil=True, inline="always")
def highlight(local: Local, direction: Vector, nl: float, nv: float, soft: float) -> float:
    """Return the strength of a lamp's highlight; those of eyes come from `reflection`.

    Args:
        local: The sample.
        direction: Unit vector to the lamp.
        nl: Cosine between normal and light.
        nv: Cosine between normal and view direction.
        soft: Cosine between smooth normal and light.
    """
    if local.material == HAIR:
        strength = local.paint.specular
        return strand_highlight(direction, local.to_viewer, local.relief, soft, strength)
    if local.material == EYE or not nl > 0.0:
        return 0.0
    half, to_unit = half_vector(direction, local.to_viewer)
    nh = max(dot(local.normal, half) * to_unit, 0.0)
    fresnel = _F0 + (1.0 - _F0) * power5(1.0 - max(dot(local.to_viewer, half) * to_unit, 0.0))
    rough = max(local.paint.roughness, _MIN_ROUGHNESS)
    if local.material == SKIN:
        broad = ggx(nl, nv, nh, min(rough * _BROAD_ROUGHER, 1.0))
        lobe = _BROAD_SHARE * broad + _TIGHT_SHARE * ggx(nl, nv, nh, rough * _TIGHT_ROUGHER)
    else:
        lobe = ggx(nl, nv, nh, rough)
    open_fold = scalar_smoothstep(_GLOSS_CREVICE[0], _GLOSS_CREVICE[1], local.crevice)
    return local.paint.specular * fresnel * lobe * open_fold


@njit(cache=True, nogil=True, inline="always")
def reflection(
    local: Local,
    reflected: Vector,
    nv: float,
    edge: float,
    lamps: Doubles,
    channel: int,
) -> float:
    """Return what a sample reflects of the room.

    Args:
        local: The sample.
        reflected: Reflection vector.
        nv: Cosine between normal and view direction.
        edge: Schlick's term (1 - nv)^5.
        lamps: Rows of lamps, as `lamps.make_lamps` returns them.
        channel: 0 red, 1 green, 2 blue.
    """
    shine: float = 0.0
    if local.material == EYE:
        shine = _eye_reflection(local, reflected, edge, lamps, channel)
    elif local.material == SKIN:
        shine = _skin_sheen(local, reflected, edge, channel)
    elif local.material == CLOTH:
        shine = _FUZZ * (1.0 - nv) ** _FUZZ_POWER * local.visibility.ambient * SKY[channel]
    elif local.material in (TEETH, TONGUE):
        wet = (_WET + _WET_EDGE * edge) * local.visibility.ambient * local.visibility.inside
        shine = wet * SKY[channel] * local.paint.specular
    return shine


@njit(cache=True, nogil=True, inline="always")
def _eye_reflection(
    local: Local, reflected: Vector, edge: float, lamps: Doubles, channel: int
) -> float:
    """Return what a wet eye mirrors: the room, the key's softbox, and the fill's, dimmer."""
    up = 0.5 + 0.5 * reflected[1]
    open_sky = local.open_sky * local.crevice
    unveiled = scalar_smoothstep(_VEIL_SKY[0], _VEIL_SKY[1], open_sky)
    veil = _VEIL_LEAST + (1.0 - _VEIL_LEAST) * unveiled
    fresnel = _F0_EYE + (1.0 - _F0_EYE) * edge
    room = sky_light(scalar_smoothstep(_HORIZON[0], _HORIZON[1], up), channel)
    shine: float = fresnel * room * _ROOM * local.open_sky
    wet = _DRY_LEAST + (1.0 - _DRY_LEAST) * local.wet
    key = veil * softbox(reflected, _SOFTBOX_BLUR) * _KEY_MIRRORED * wet
    shine += key * lamps[KEY_LIGHT, 3 + channel]
    off_axis = dot(reflected, row(lamps, FILL_LIGHT))
    fill = veil * _FILL_MIRRORED * scalar_smoothstep(_FILL_COSINES[0], _FILL_COSINES[1], off_axis)
    shine += fill * lamps[FILL_LIGHT, 3 + channel]
    return shine


@njit(cache=True, nogil=True, inline="always")
def _skin_sheen(local: Local, reflected: Vector, edge: float, channel: int) -> float:
    """Return the sky's reflection in the oil of the skin."""
    grazing = max(_SHEEN_SMOOTH - local.paint.roughness, _SHEEN_ROUGH) * edge
    strength = local.paint.specular * (_SHEEN_LEAST + grazing)
    sheen: float = strength * local.visibility.ambient
    return sheen * sky_light(0.5 + 0.5 * reflected[1], channel) * _SHEEN


@njit(cache=True, nogil=True, inline="always")
def skin_albedo(local: Local, key: Vector, channel: int) -> float:
    """Return the colour of skin with the contrast of its relief and wrinkles.

    The diffuse light of skin is blurred afterwards, so that the relief would not show in it.

    Args:
        local: The sample.
        key: Unit vector to the key light.
        channel: 0 red, 1 green, 2 blue.
    """
    change = dot(local.normal, key) - dot(local.smooth, key)
    shown = _RELIEF_SHADED + (1.0 - _RELIEF_SHADED) * local.visibility.lit
    contrast = _RELIEF_SHARE[channel] * change * shown
    factor = min(max(1.0 + contrast, _MIN_RELIEF), _MAX_RELIEF)
    # Rounded after each factor, as the images of existing datasets were.
    colour = np.float32(local.paint.colour[channel] * factor)
    albedo: float = colour * (1.0 - local.paint.crease * _CREASE_SHADE[channel])
    return albedo


@njit(cache=True, nogil=True, inline="always")
def eyelid_shade(point: Vector, ball: Doubles, rotation: Doubles) -> float:
    """Return the share of light, 0..1, that the lids leave on an eyeball.

    Shade falls from the upper lid, a little from the lower one, and into the corners.

    Args:
        point: World position on the eyeball, metres.
        ball: (EYEBALL_NUMBERS,) as `eyeball.Eyeballs.track`.
        rotation: (3, 3) head to world.
    """
    x, y, z = point[0] - ball[0], point[1] - ball[1], point[2] - ball[2]
    across = rotation[0, 0] * x + rotation[1, 0] * y + rotation[2, 0] * z
    up = rotation[0, 1] * x + rotation[1, 1] * y + rotation[2, 1] * z
    above = 1.0 - _UPPER_SHADE * scalar_smoothstep(_UPPER_LID_M[0], _UPPER_LID_M[1], up)
    below = 1.0 - _LOWER_SHADE * scalar_smoothstep(_LOWER_LID_M[0], _LOWER_LID_M[1], up)
    corner = 1.0 - _CORNER_SHADE * scalar_smoothstep(_CORNER_M[0], _CORNER_M[1], abs(across))
    return above * below * corner
