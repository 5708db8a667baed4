"""The optics of an eye: pose of the eyeballs, curve of the cornea, refraction into the iris.

The eyeball of the mesh is a sphere with a painted iris. A real iris is flat and lies some
millimetres behind a cornea of its own curvature, which gives an eye its depth and puts the
reflection of the key light where it belongs.
"""

from __future__ import annotations

from math import asin, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.geometry.head import Head
from models.geometry.smoothstep import scalar_smoothstep
from models.studio.atlas import StudioData
from models.studio.reflectance import Doubles, Vector, dot

Floats = NDArray[np.float32]

IRIS_RAD = 0.362
PUPIL_RAD = 0.135
"""Angles from the axis of the eye, at the centre of the eyeball; as `heads.eyes` lays it out."""

EYEBALL_NUMBERS = 19
"""Numbers that describe a posed eyeball, at the places below."""
_RIGHT, _UP, _FORWARD = 3, 6, 9
"""First of 3 numbers each: unit axes, world. The centre comes before them, in metres."""
_RADIUS, _PUPIL_UV, _UV_PER_RIGHT, _UV_PER_UP = 12, 13, 15, 17
"""Radius in metres; first of 2 numbers each: UV of the pupil, and UV per radian along the axes."""
EYE_JOINTS = slice(3, 5)
"""The joints of both eyes in a head file, the left one first."""

ON_IRIS = 0.55
"""Share of the cornea's curve at the edge of the iris."""

_SINE_OF_IRIS = 0.354
"""Sine of `IRIS_RAD`."""
_BOWL = 0.9
"""Slope of the iris at its rim, as a tangent: steeper than a real one, chosen by eye."""
_FLATTEST = 0.3
"""Least cosine between the refracted view and the eye's axis, so that a view along the iris does
not leave it."""
_USUAL_RADIUS_M = 0.012  # an adult's eyeball has a diameter of 24 mm
_CORNEA_M = 0.0081
"""Radius of the cornea's curve; an adult's is about 7.8 mm."""
_MAX_SINE, _MAX_RIM_SINE = 0.9, 0.95
"""Sines on the cornea's sphere are kept below 1, beyond which it has no surface: for normals, and
for its height over the iris."""
_RING_SHARE, _RING_RAD = 0.9, 1e-3
"""The ring that gives the slopes of the UV lies at most at this share of the iris's angle, and its
vertices agree in it to this."""
_MIN_LENGTH = 1e-9  # of distances that are divided by
_REFRACTION = 1.0 / 1.336
"""Ratio of refractive indices, of air to aqueous humour."""
_CORNEA_END = 0.46  # just beyond the end of `_LIMBUS`: nothing further out is computed
_LIMBUS = (0.27, 0.45)
"""Sines of the angles at which the cornea's curve begins to blend into the eyeball's, and ends."""


class Eyeballs:
    """Finds both eyeballs of a head in any pose; a head may have none.

    Args:
        head: Shape and joints.
        data: Materials and masks of the same head file; the mask "detail" holds, for eyes, the
            angle from the axis.
    """

    def __init__(self, head: Head, data: StudioData) -> None:
        used = np.unique(head.faces[data.materials == data.material_names.index("eye")])
        theta = data.masks[:, data.mask_names.index("detail")]
        self._landmarks = []
        self._fixed = []
        for side in (0, 1) if len(used) else ():
            centre = head.joint_positions[EYE_JOINTS][side]
            mine = used[np.sign(head.neutral[used, 0]) == np.sign(centre[0])]
            pole = mine[np.argmin(theta[mine])]
            # UV is linear in the angle up to the edge of the iris: one ring gives the slopes.
            angle = theta[mine][theta[mine] <= _RING_SHARE * IRIS_RAD].max()
            ring = mine[np.abs(theta[mine] - angle) < _RING_RAD]
            offset = head.neutral[ring] - head.neutral[pole]
            right, above = ring[np.argmax(offset[:, 0])], ring[np.argmax(offset[:, 1])]
            uv = [_uv_of(head, int(vertex)) for vertex in (pole, right, above)]
            radius = float(np.linalg.norm(head.neutral[ring] - centre, axis=1).mean())
            slopes = [(uv[1] - uv[0]) / angle, (uv[2] - uv[0]) / angle]
            self._landmarks.append((pole, right, above))
            self._fixed.append(np.concatenate([[radius], uv[0], *slopes]))

    def track(self, verts: Floats, centres: Doubles) -> Doubles:
        """(2, EYEBALL_NUMBERS) of left and right.

        Args:
            verts: (V, 3) posed, world.
            centres: (2, 3) of the eyeballs, world.
        """
        if not self._landmarks:
            return np.zeros((2, EYEBALL_NUMBERS))  # no triangle has the material of eyes
        rows = []
        for (pole, right, _), fixed, centre in zip(
            self._landmarks, self._fixed, centres, strict=True
        ):
            forward = verts[pole] - centre
            forward /= np.linalg.norm(forward)
            side = verts[right] - verts[pole]
            side = side - (side @ forward) * forward
            side /= np.linalg.norm(side)
            rows.append(np.concatenate([centre, side, np.cross(forward, side), forward, fixed]))
        return np.asarray(rows, np.float64)


def eyeball_radius(head: Head, data: StudioData) -> float:
    """Metres from the middle of the left eyeball to its surface, beside the cornea.

    Returns an adult's radius for heads without eyeballs.
    """
    used = np.unique(head.faces[data.materials == data.material_names.index("eye")])
    if len(used) == 0:
        return _USUAL_RADIUS_M
    distance = np.linalg.norm(head.neutral[used] - head.joint_positions[EYE_JOINTS][0], axis=1)
    return float(np.median(distance[head.neutral[used, 0] > 0]))


def _uv_of(head: Head, vertex: int) -> Floats:
    """Return the UV (2,) of a vertex, in any of its triangles."""
    row, corner = np.argwhere(head.faces == vertex)[0]
    uv: Floats = head.uvs[head.uv_faces[row, corner]]
    return uv


@njit(cache=True, nogil=True, inline="always")
def _axis(ball: Doubles, first: int) -> Vector:
    """Return the three numbers of an eyeball from `first` on."""
    return ball[first], ball[first + 1], ball[first + 2]


@njit(cache=True, nogil=True)
def tilt_by_cornea(p0: float, p1: float, p2: float, ball: Doubles, n: Doubles) -> float:
    """Replace the normal `n` (3,), in place, by the cornea's where `p` lies on it.

    Returns:
        Share of the cornea's curve, 1..0; above `ON_IRIS` over the iris.
    """
    offset = p0 - ball[0], p1 - ball[1], p2 - ball[2]
    right = dot(offset, _axis(ball, _RIGHT))
    up = dot(offset, _axis(ball, _UP))
    forward = dot(offset, _axis(ball, _FORWARD))
    lateral = sqrt(right * right + up * up)
    away = lateral / max(sqrt(lateral * lateral + forward * forward), _MIN_LENGTH)
    if forward <= 0.0 or away > _CORNEA_END:
        return 0.0
    # Smoothly from the cornea's curve to the eyeball's, around the limbus.
    share = 1.0 - scalar_smoothstep(_LIMBUS[0], _LIMBUS[1], away)
    sine = min(lateral / _CORNEA_M, _MAX_SINE)
    sine = share * sine + (1.0 - share) * away
    cosine = sqrt(1.0 - sine * sine)
    scale = sine / max(lateral, _MIN_LENGTH)
    for i in range(3):
        across = right * ball[_RIGHT + i] + up * ball[_UP + i]
        n[i] = scale * across + cosine * ball[_FORWARD + i]
    return share


@njit(cache=True, nogil=True)
def refract_into_iris(
    p0: float,
    p1: float,
    p2: float,
    ball: Doubles,
    n: Doubles,
    v: Doubles | tuple[float, float, float],
    facing: Doubles,
) -> tuple[float, float]:
    """Refract the view direction at the cornea and intersect it with the iris.

    Args:
        p0: World x of the point on the cornea.
        p1: World y.
        p2: World z.
        ball: (EYEBALL_NUMBERS,) numbers of the eyeball, a row of what `Eyeballs.track` returns.
        n: (3,) the cornea's normal there.
        v: (3,) towards the viewer.
        facing: (3,) filled with a normal of the iris, a shallow bowl.

    Returns:
        UV of the visible point.
    """
    offset = p0 - ball[0], p1 - ball[1], p2 - ball[2]
    right = dot(offset, _axis(ball, _RIGHT))
    up = dot(offset, _axis(ball, _UP))
    lateral = min(sqrt(right * right + up * up) / _CORNEA_M, _MAX_RIM_SINE)
    limbus = ball[_RADIUS] * _SINE_OF_IRIS
    rim = limbus / _CORNEA_M
    depth = _CORNEA_M * max(sqrt(1.0 - lateral * lateral) - sqrt(1.0 - rim * rim), 0.0)
    nv = max(n[0] * v[0] + n[1] * v[1] + n[2] * v[2], 0.0)
    bend = _REFRACTION * nv - sqrt(1.0 - _REFRACTION * _REFRACTION * (1.0 - nv * nv))
    tr = tu = tf = 0.0
    for i in range(3):
        t = bend * n[i] - _REFRACTION * v[i]
        tr += t * ball[_RIGHT + i]
        tu += t * ball[_UP + i]
        tf += t * ball[_FORWARD + i]
    down = depth / max(-tf, _FLATTEST)
    right += tr * down
    up += tu * down
    out = max(sqrt(right * right + up * up), _MIN_LENGTH)
    held = min(out, limbus)
    right, up = right * held / out, up * held / out
    bowl = _BOWL / limbus
    for i in range(3):
        across = right * ball[_RIGHT + i] + up * ball[_UP + i]
        facing[i] = ball[_FORWARD + i] - bowl * across
    length = sqrt(facing[0] ** 2 + facing[1] ** 2 + facing[2] ** 2)
    for i in range(3):
        facing[i] /= length
    # The layout is linear in the angle on the ball's surface, not in the distance on the flat iris.
    angle = asin(held / ball[_RADIUS]) / held
    u = angle * (right * ball[_UV_PER_RIGHT] + up * ball[_UV_PER_UP])
    v = angle * (right * ball[_UV_PER_RIGHT + 1] + up * ball[_UV_PER_UP + 1])
    return ball[_PUPIL_UV] + u, ball[_PUPIL_UV + 1] + v
