"""Draws single hairs over the shaded head, on one core, without the interpreter lock.

Each hair is a tapered line, lit along its length (Kajiya and Kay 1989) and blended from back to
front.
"""

from __future__ import annotations

from math import exp, floor, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.geometry.camera import quaternion_to_matrix
from models.geometry.head import Head
from models.geometry.rasterizer import SUBPIXEL_BITS, SUBPIXELS
from models.geometry.rasterizer_numba import project
from models.geometry.smoothstep import scalar_smoothstep
from models.studio.lamps import FLOOR, SKY, lit_share
from models.studio.lighting import Lights
from models.studio.paint_hair import HAIR_CENTRE_M
from models.studio.post_processing import tone_map
from models.studio.reflectance import Doubles, Floats
from models.studio.strands import BEARD, HAIR, Strands, anchor_frames, pose_strands

_SKULL = np.array(HAIR_CENTRE_M)
"""Head space: hair is lit as if it lay on a ball around this point."""
_CLEARANCE_HAIR_M, _CLEARANCE_OTHERS_M = 0.0012, 0.0005
"""How far a strand may lie behind the mesh and still be drawn: roots start inside the skin."""
_DEPTH_TOLERANCE = 0.004
"""The same for the coarse test of whole segments, as a share of 1/depth: 3 mm at 0.8 m."""
_SHADOW_BIAS_M = 0.006
"""Larger than that of the mesh: the hull below the strands must not shadow them."""

# Lobes of a strand: shift of the peak from the mirror angle (its cosine), sharpness and strength.
# These and the amounts below are chosen by eye.
_WHITE_SHIFT, _WHITE_SHARPNESS, _WHITE_STRENGTH = 0.14, 60.0, 0.030
_COLOURED_SHIFT, _COLOURED_SHARPNESS, _COLOURED_STRENGTH = 0.22, 14.0, 1.1
_FACING = (-0.30, 0.45)
"""Cosines between that ball's normal and a lamp over which highlights fade in."""
_WRAP = 0.35
"""How far lamps light around the ball that strands lie on, as a cosine."""
_DIFFUSE = 0.62
_OTHERS_GLOSS = 0.3
"""Highlights of brows, lashes and beards, relative to those of hair."""

_TAPER = 0.8
"""Share of its width that a strand loses towards its tip."""
_OPACITY = 0.92
_MIN_LENGTH_PX = 1e-6  # of segments along their longer axis: shorter ones would divide by 0
_MIN_SQUARED_LENGTH = 1e-20  # of vectors that are normalised: none must divide by 0


class _Hairs(NamedTuple):
    """What does not change with the pose; fields as those of `Strands`."""

    starts: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    widths: Floats
    colours: Floats
    open_sky: Floats


class _Projected(NamedTuple):
    """The points of all strands in the image."""

    xy: NDArray[np.int64]
    """(M, 2) snapped screen positions."""
    inverse_depth: Doubles
    """(M,) 1/metres."""
    shaded: Floats
    """(M, 3) sRGB 0..1 of visible points; undefined elsewhere."""
    focal: float
    """The camera's focal length in samples."""


class _Canvas(NamedTuple):
    """What strands are drawn over, in place, and what hides them."""

    mesh: Floats
    """(H, W) 1/depth of the shaded mesh, 0 where there is none."""
    colour: Floats
    """(H, W, 3) sRGB times cover."""
    cover: Floats
    """(H, W) 0..1."""


def draw_strands(
    strands: Strands,
    head: Head,
    state: FrameState,
    verts: Floats,
    mesh_inverse_depth: Floats,
    lights: Lights,
    colour: Floats,
    cover: Floats,
) -> None:
    """Draw all hairs that the mesh does not hide, from back to front.

    Args:
        strands: The hairs.
        head: Its `faces` are the triangles that the strands are anchored to.
        state: The head's pose and the view.
        verts: (V, 3) posed vertices, world; the hull not sunk.
        mesh_inverse_depth: (H, W) of the shaded mesh, 0 where there is none.
        lights: Lamps and shadow, as `lighting.shade` takes them.
        colour: (H, W, 3) sRGB times cover; drawn over in place.
        cover: (H, W) 0..1; drawn over in place.
    """
    height, width = cover.shape
    points = _posed_points(strands, head, state, verts)
    xy, inverse_depth = project(points, state, width, height)
    visible = _find_visible(xy, inverse_depth, mesh_inverse_depth, strands.starts)
    hairs = _Hairs(strands.starts, strands.kinds, strands.widths, strands.colours, strands.open_sky)
    shaded = _lit_points(hairs, state, points, visible, lights)
    segments, owners = _segments(strands.starts, visible)
    # Farthest first, as each is blended over those before; stable, so that equal ones do not
    # change places between two frames.
    order = np.argsort(inverse_depth[segments], kind="stable")
    focal = height / 2 / np.tan(state.fov_y_rad / 2)
    projected = _Projected(xy, inverse_depth, shaded, focal)
    canvas = _Canvas(mesh_inverse_depth, colour, cover)
    _draw(segments[order], owners[order], hairs, projected, canvas)


def _posed_points(strands: Strands, head: Head, state: FrameState, verts: Floats) -> Floats:
    """Return the points (M, 3) of all strands, world."""
    return pose_strands(
        strands.points,
        strands.starts,
        strands.kinds,
        strands.rest,
        verts[head.faces[strands.anchors]].mean(1, dtype=np.float32),
        anchor_frames(verts, head.faces, strands.anchors),
        quaternion_to_matrix(state.head_rotation),
        np.asarray(state.head_translation, np.float64),
    )


def _lit_points(
    hairs: _Hairs,
    state: FrameState,
    points: Floats,
    visible: NDArray[np.bool_],
    lights: Lights,
) -> Floats:
    """Return the colours (M, 3) of visible points, sRGB 0..1; undefined elsewhere."""
    rotation = quaternion_to_matrix(state.head_rotation)
    skull = rotation @ _SKULL + np.asarray(state.head_translation, np.float64)
    eye = np.asarray(state.eye_position, np.float64)
    shaded = np.empty_like(points)
    _light(points, visible, hairs, lights, skull, eye, shaded)
    return shaded


@njit(cache=True, nogil=True, inline="always")
def _clearance(kind: int) -> float:
    """Return how far a strand may lie behind the mesh and still be drawn, in metres."""
    return _CLEARANCE_HAIR_M if kind == HAIR else _CLEARANCE_OTHERS_M


@njit(cache=True, nogil=True)
def _find_visible(
    xy: NDArray[np.int64],
    inverse_depth: Doubles,
    mesh: Floats,
    starts: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """Return (M,) whether the segment that begins at a point may be visible: tests its ends."""
    height, width = mesh.shape
    free = np.zeros(len(xy), np.bool_)
    for m in range(len(xy)):
        x, y = xy[m, 0] >> SUBPIXEL_BITS, xy[m, 1] >> SUBPIXEL_BITS
        if 0 <= x < width and 0 <= y < height and inverse_depth[m] > 0:
            free[m] = inverse_depth[m] >= mesh[y, x] * (1 - _DEPTH_TOLERANCE)
    visible = np.zeros(len(xy), np.bool_)
    for i in range(len(starts) - 1):
        for m in range(starts[i], starts[i + 1]):
            following = m + 1 if m + 1 < starts[i + 1] else m
            previous = m - 1 if m > starts[i] else m
            visible[m] = free[m] or free[following] or free[previous]
    return visible


@njit(cache=True, nogil=True)
def _segments(
    starts: NDArray[np.int32], visible: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the first points (S,) of visible segments, and the strands (S,) they belong to."""
    segments = np.empty(len(visible), np.int32)
    owners = np.empty(len(visible), np.int32)
    count = 0
    for i in range(len(starts) - 1):
        for m in range(starts[i], starts[i + 1] - 1):
            if visible[m] and visible[m + 1]:
                segments[count], owners[count] = m, i
                count += 1
    return segments[:count], owners[:count]


@njit(cache=True, nogil=True, fastmath=True)
def _light(
    points: Floats,
    visible: NDArray[np.bool_],
    hairs: _Hairs,
    lights: Lights,
    skull: Doubles,
    eye: Doubles,
    out: Floats,
) -> None:
    """Light the visible points.

    Args:
        points: (M, 3) world, metres.
        visible: (M,) which points are lit.
        hairs: Kinds and colours of the strands.
        lights: Lamps and shadow.
        skull: (3,) middle of the ball that hair is lit as if it lay on, world.
        eye: (3,) position of the viewer, world.
        out: (M, 3) filled where points are visible, sRGB 0..1.
    """
    # Unpacked once, as in `lighting.shade`.
    starts, kinds, _, colours, open_sky = hairs
    lamps, shadow, light_frame = lights
    tangent, normal, view = np.empty(3), np.empty(3), np.empty(3)
    total = np.empty(3)
    for i in range(len(kinds)):
        first, last = starts[i], starts[i + 1]
        gloss = 1.0 if kinds[i] == HAIR else _OTHERS_GLOSS
        for m in range(first, last):
            if not visible[m]:
                continue
            before, after = max(m - 1, first), min(m + 1, last - 1)
            _directions(points, m, before, after, skull, eye, tangent, normal, view)
            sky = open_sky[m]
            up = 0.5 + 0.5 * normal[1]
            for k in range(3):
                total[k] = colours[i, k] * sky * (FLOOR[k] + (SKY[k] - FLOOR[k]) * up)
            lit = 1.0
            if kinds[i] == HAIR or kinds[i] == BEARD:
                lit = _lit_share_at(shadow, light_frame, points, m)
            tv = tangent[0] * view[0] + tangent[1] * view[1] + tangent[2] * view[2]
            for j in range(len(lamps)):
                tl, nl = 0.0, 0.0
                for k in range(3):
                    tl += tangent[k] * lamps[j, k]
                    nl += normal[k] * lamps[j, k]
                across = sqrt(max(1.0 - tl * tl, 0.0))
                diffuse = across * min(max((nl + _WRAP) / (1.0 + _WRAP), 0.0), 1.0)
                # A strand shows a highlight where light and view direction make equal angles with
                # it. Its outer cells are tilted, which splits the highlight into a white lobe and
                # one that passed through the strand and took on its colour.
                half = tl + tv
                white = exp(-((half - _WHITE_SHIFT) ** 2) * _WHITE_SHARPNESS)
                through = exp(-((half + _COLOURED_SHIFT) ** 2) * _COLOURED_SHARPNESS)
                facing = scalar_smoothstep(_FACING[0], _FACING[1], nl)
                for k in range(3):
                    strength = lamps[j, 3 + k] * (lit if j == 0 else 1.0)
                    shine = _WHITE_STRENGTH * white + _COLOURED_STRENGTH * colours[i, k] * through
                    total[k] += strength * sky * (_DIFFUSE * colours[i, k] * diffuse)
                    total[k] += strength * sky * sky * gloss * facing * across * shine
            for k in range(3):
                out[m, k] = tone_map(total[k])


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _directions(
    points: Floats,
    m: int,
    before: int,
    after: int,
    skull: Doubles,
    eye: Doubles,
    tangent: Doubles,
    normal: Doubles,
    view: Doubles,
) -> None:
    """Fill the unit vectors along the strand, out of the head and to the viewer, at point `m`."""
    lt = ln = lv = _MIN_SQUARED_LENGTH
    for k in range(3):
        tangent[k] = points[after, k] - points[before, k]
        normal[k] = points[m, k] - skull[k]
        view[k] = eye[k] - points[m, k]
        lt += tangent[k] * tangent[k]
        ln += normal[k] * normal[k]
        lv += view[k] * view[k]
    lt, ln, lv = 1 / sqrt(lt), 1 / sqrt(ln), 1 / sqrt(lv)
    for k in range(3):
        tangent[k] *= lt
        normal[k] *= ln
        view[k] *= lv


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _lit_share_at(shadow: Floats, light_frame: Doubles, points: Floats, m: int) -> float:
    """Return the share of the key light that reaches point `m`."""
    x, y, near = light_frame[0, 3], light_frame[1, 3], light_frame[2, 3]
    for k in range(3):
        x += light_frame[0, k] * points[m, k]
        y += light_frame[1, k] * points[m, k]
        near += light_frame[2, k] * points[m, k]
    return lit_share(shadow, x, y, near, _SHADOW_BIAS_M)


@njit(cache=True, nogil=True, fastmath=True)
def _draw(
    segments: NDArray[np.int32],
    owners: NDArray[np.int32],
    hairs: _Hairs,
    projected: _Projected,
    canvas: _Canvas,
) -> None:
    """Blend segments into the canvas.

    Args:
        segments: (S,) first points of the segments, in the order of drawing.
        owners: (S,) strands that they belong to.
        hairs: Kinds and widths of the strands.
        projected: The points.
        canvas: Drawn over in place.
    """
    # Unpacked once, as in `lighting.shade`.
    starts, kinds, widths, _, _ = hairs
    xy, inverse_depth, shaded, focal = projected
    mesh, colour, cover = canvas
    height, width = cover.shape
    for s in range(len(segments)):
        m, i = segments[s], owners[s]
        x0, y0 = xy[m, 0] / SUBPIXELS, xy[m, 1] / SUBPIXELS
        x1, y1 = xy[m + 1, 0] / SUBPIXELS, xy[m + 1, 1] / SUBPIXELS
        dx, dy = x1 - x0, y1 - y0
        # Step along the longer axis, so that no sample is skipped.
        steep = abs(dy) > abs(dx)
        if steep:
            x0, y0, x1, y1, dx, dy = y0, x0, y1, x1, dy, dx
        if abs(dx) < _MIN_LENGTH_PX:
            continue
        w0, w1 = inverse_depth[m], inverse_depth[m + 1]
        c0, c1 = m, m + 1
        along = (m - starts[i]) / (starts[i + 1] - 1 - starts[i])
        ahead = 1.0 / (starts[i + 1] - 1 - starts[i])
        if dx < 0:
            x0, y0, x1, y1, w0, w1, c0, c1 = x1, y1, x0, y0, w1, w0, c1, c0
            dx, dy = -dx, -dy
            along, ahead = along + ahead, -ahead
        slope = dy / dx
        stretch = sqrt(1.0 + slope * slope)
        clear = _clearance(kinds[i])
        columns = height if steep else width
        rows = width if steep else height
        begin = max(floor(x0 + 0.5), 0)
        end = min(floor(x1 + 0.5), columns)
        for column in range(begin, end):
            share = (column + 0.5 - x0) / dx
            middle = y0 + share * dy
            near = w0 + share * (w1 - w0)
            at = along + share * ahead
            thick = widths[i] * (1.0 - _TAPER * at * at) * focal * near * stretch
            low, high = middle - 0.5 * thick, middle + 0.5 * thick
            # To first order, 1/depth of a point that is `clear` metres nearer.
            limit = near * (1.0 + clear * near)
            for row in range(max(floor(low), 0), min(floor(high) + 1, rows)):
                x, y = (row, column) if steep else (column, row)
                if limit < mesh[y, x]:
                    continue
                alpha = min(high, row + 1.0) - max(low, np.float64(row))
                alpha = _OPACITY * min(max(alpha, 0.0), 1.0)
                _blend(y, x, alpha, shaded, c0, c1, share, colour, cover)


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def _blend(
    y: int,
    x: int,
    alpha: float,
    shaded: Floats,
    first: int,
    second: int,
    share: float,
    colour: Floats,
    cover: Floats,
) -> None:
    """Blend a sample with the colour at `share` of the way from the first point to the second."""
    keep = 1.0 - alpha
    for k in range(3):
        hue = shaded[first, k] + share * (shaded[second, k] - shaded[first, k])
        colour[y, x, k] = keep * colour[y, x, k] + alpha * hue
    cover[y, x] = keep * cover[y, x] + alpha
