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

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

IRIS_RAD = 0.362
PUPIL_RAD = 0.135
"""Angles from the axis of the eye, at the centre of the eyeball; as `heads.eyes` lays it out."""

EYEBALL_NUMBERS = 19
"""Centre 3, axes right, up and forward 9, radius 1, UV of the pupil 2, UV per radian along right
and up 4."""

ON_IRIS = 0.55
"""Share of the cornea's curve at the edge of the iris."""

_SINE_OF_IRIS = 0.354
"""Sine of `IRIS_RAD`."""
_BOWL = 0.9
"""Slope of the iris at its rim, as a tangent: steeper than a real one, chosen by eye."""
_USUAL_RADIUS_M = 0.012  # an adult's eyeball has a diameter of 24 mm
_CORNEA_M = 0.0081
"""Radius of the cornea's curve."""
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
            centre = head.joint_positions[3 + side]
            mine = used[np.sign(head.neutral[used, 0]) == np.sign(centre[0])]
            pole = mine[np.argmin(theta[mine])]
            # UV is linear in the angle up to the edge of the iris: one ring gives the slopes.
            angle = theta[mine][theta[mine] <= 0.9 * IRIS_RAD].max()
            ring = mine[np.abs(theta[mine] - angle) < 1e-3]
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
    distance = np.linalg.norm(head.neutral[used] - head.joint_positions[3], axis=1)
    return float(np.median(distance[head.neutral[used, 0] > 0]))


def _uv_of(head: Head, vertex: int) -> Floats:
    """Return the UV (2,) of a vertex, in any of its triangles."""
    row, corner = np.argwhere(head.faces == vertex)[0]
    uv: Floats = head.uvs[head.uv_faces[row, corner]]
    return uv


@njit(cache=True, nogil=True)
def tilt_by_cornea(p0: float, p1: float, p2: float, ball: Doubles, n: Doubles) -> float:
    """Replace the normal `n` (3,), in place, by the cornea's where `p` lies on it.

    Returns:
        Share of the cornea's curve, 1..0; above `ON_IRIS` over the iris.
    """
    x, y, z = p0 - ball[0], p1 - ball[1], p2 - ball[2]
    right = x * ball[3] + y * ball[4] + z * ball[5]
    up = x * ball[6] + y * ball[7] + z * ball[8]
    forward = x * ball[9] + y * ball[10] + z * ball[11]
    lateral = sqrt(right * right + up * up)
    away = lateral / max(sqrt(lateral * lateral + forward * forward), 1e-9)
    if forward <= 0.0 or away > _CORNEA_END:
        return 0.0
    # Smoothly from the cornea's curve to the eyeball's, around the limbus.
    share = 1.0 - scalar_smoothstep(_LIMBUS[0], _LIMBUS[1], away)
    # Below 1, beyond which the sphere of the cornea has no surface.
    sine = min(lateral / _CORNEA_M, 0.9)
    sine = share * sine + (1.0 - share) * away
    cosine = sqrt(1.0 - sine * sine)
    scale = sine / max(lateral, 1e-9)
    for i in range(3):
        n[i] = scale * (right * ball[3 + i] + up * ball[6 + i]) + cosine * ball[9 + i]
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
        ball: (EYEBALL_NUMBERS,).
        n: (3,) the cornea's normal there.
        v: (3,) towards the viewer.
        facing: (3,) filled with a normal of the iris, a shallow bowl.

    Returns:
        UV of the visible point.
    """
    x, y, z = p0 - ball[0], p1 - ball[1], p2 - ball[2]
    right = x * ball[3] + y * ball[4] + z * ball[5]
    up = x * ball[6] + y * ball[7] + z * ball[8]
    lateral = min(sqrt(right * right + up * up) / _CORNEA_M, 0.95)
    limbus = ball[12] * _SINE_OF_IRIS
    rim = limbus / _CORNEA_M
    depth = _CORNEA_M * max(sqrt(1.0 - lateral * lateral) - sqrt(1.0 - rim * rim), 0.0)
    nv = max(n[0] * v[0] + n[1] * v[1] + n[2] * v[2], 0.0)
    bend = _REFRACTION * nv - sqrt(1.0 - _REFRACTION * _REFRACTION * (1.0 - nv * nv))
    tr = tu = tf = 0.0
    for i in range(3):
        t = bend * n[i] - _REFRACTION * v[i]
        tr += t * ball[3 + i]
        tu += t * ball[6 + i]
        tf += t * ball[9 + i]
    down = depth / max(-tf, 0.3)
    right += tr * down
    up += tu * down
    out = max(sqrt(right * right + up * up), 1e-9)
    held = min(out, limbus)
    right, up = right * held / out, up * held / out
    bowl = _BOWL / limbus
    for i in range(3):
        facing[i] = ball[9 + i] - bowl * (right * ball[3 + i] + up * ball[6 + i])
    length = sqrt(facing[0] ** 2 + facing[1] ** 2 + facing[2] ** 2)
    for i in range(3):
        facing[i] /= length
    angle = asin(held / ball[12]) / held
    return (
        ball[13] + angle * (right * ball[15] + up * ball[17]),
        ball[14] + angle * (right * ball[16] + up * ball[18]),
    )
