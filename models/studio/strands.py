"""Draws single hairs over the shaded head: hair, brows and lashes.

The mesh carries only their hull; here each hair is a tapered line, lit along its length (Kajiya
and Kay 1989) and blended from back to front. Hair keeps its place on the head and gives way at its
root; brows, lashes and beards ride on the triangle of the face that they hang on.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor, sqrt
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.geometry.camera import quaternion_to_matrix
from models.geometry.head import Head
from models.geometry.rasterizer_numba import project
from models.studio.appearance import Appearance
from models.studio.lighting import _FLOOR, _SKY, _lit_share, _smoothstep
from models.studio.post_processing import _tone

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HAIR, BROW, LASH, BEARD = range(4)
"""Kinds of strands."""

_MIDDLE = np.array([0.0, 0.025, -0.075])
"""Of the skull, in head space: hair is lit as if it lay on a ball around here."""
_SUBPIXELS = 256.0


@dataclass(frozen=True, slots=True, eq=False)
class Strands:
    """N hairs of M points in all, on the neutral head."""

    points: Floats
    """(M, 3) metres, in head space (hair) or in the frame of the anchor (all else)."""
    starts: NDArray[np.int32]
    """(N + 1,) first point of each hair, and M."""
    anchors: NDArray[np.int32]
    """(N,) triangle that each hangs on."""
    kinds: NDArray[np.uint8]
    """(N,) HAIR, BROW, LASH or BEARD."""
    widths: Floats
    """(N,) metres at the root."""
    colours: Floats
    """(N, 3) linear RGB."""
    open_sky: Floats
    """(M,) share of the light that other hairs let through."""
    rest: Floats
    """(N, 3) middle of the anchor on the neutral head."""
    inset: Floats
    """(V,) metres that the hull lies deeper than the hair's outside when strands are drawn."""


def load_strands(path: Path, head: Head, look: Appearance) -> Strands | None:
    """The hairs of a head file, in a look's colours; None if it has none."""
    with np.load(path, allow_pickle=False) as file:
        if "strand_points" not in file.files:
            return None
        counts = file["strand_counts"].astype(np.int32)
        kinds, anchors = file["strand_kinds"], file["strand_anchors"]
        points = file["strand_points"].astype(np.float32)
        tones = file["strand_tones"].astype(np.float32)[:, None]
        widths = file["strand_widths"].astype(np.float32)
        open_sky = file["strand_open_sky"].astype(np.float32)
        inset = file["strand_inset"].astype(np.float32)
    darks = [look.hair_dark, look.brow, look.lash, look.hair_dark]
    lights = [look.hair_light, 2.2 * np.array(look.brow), look.lash, look.hair_light]
    dark, light = np.array(darks, np.float32)[kinds], np.array(lights, np.float32)[kinds]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    rest = head.neutral[head.faces[anchors]].mean(1, dtype=np.float32)
    frames = _frames(head.neutral, head.faces, anchors)
    of = np.repeat(np.arange(len(counts)), counts)
    local = np.einsum("mk,mkc->mc", points, frames[of])
    points = np.where((kinds == HAIR)[of, None], points + rest[of], local).astype(np.float32)
    colours = np.ascontiguousarray(dark + tones * (light - dark), np.float32)
    return Strands(points, starts, anchors, kinds, widths, colours, open_sky, rest, inset)


@njit(cache=True, nogil=True)
def _frames(verts: Floats, faces: NDArray[np.int32], anchors: NDArray[np.int32]) -> Floats:
    """(N, 3, 3) axes of the anchors' triangles, in columns: along an edge, across, and out."""
    frames = np.empty((len(anchors), 3, 3), np.float32)
    for i in range(len(anchors)):
        a, b, c = faces[anchors[i]]
        ux, uy, uz = verts[b] - verts[a]
        wx, wy, wz = verts[c] - verts[a]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        n = 1 / sqrt(max(nx * nx + ny * ny + nz * nz, 1e-24))
        u = 1 / sqrt(max(ux * ux + uy * uy + uz * uz, 1e-24))
        nx, ny, nz, ux, uy, uz = nx * n, ny * n, nz * n, ux * u, uy * u, uz * u
        frames[i, 0] = np.array([ux, ny * uz - nz * uy, nx])
        frames[i, 1] = np.array([uy, nz * ux - nx * uz, ny])
        frames[i, 2] = np.array([uz, nx * uy - ny * ux, nz])
    return frames


def sink_hull(strands: Strands, verts: Floats, normals: Floats) -> Floats:
    """The posed vertices (V, 3) with the hair's hull pulled in below the strands."""
    return verts - normals * strands.inset[:, None]


def draw_strands(
    strands: Strands,
    head: Head,
    state: FrameState,
    verts: Floats,
    mesh_inverse_depth: Floats,
    shadow: Floats,
    light_frame: Doubles,
    lamps: Doubles,
    colour: Floats,
    cover: Floats,
) -> None:
    """Draw all hairs that the mesh does not hide.

    Args:
        strands: What to draw.
        head: Whose `faces` the strands hang on.
        state: The head's pose and the view.
        verts: (V, 3) posed vertices, world; the hull not sunk.
        mesh_inverse_depth: (H, W) of the shaded mesh, 0 where there is none.
        shadow: (L, L) the key light's map, as `lighting.shade` takes it.
        light_frame: (3, 4) world to shadow map.
        lamps: (4, 6) direction to each lamp and its colour, the key first.
        colour: (H, W, 3) sRGB times cover; drawn over.
        cover: (H, W) 0..1; drawn over.
    """
    height, width = cover.shape
    rotation = quaternion_to_matrix(state.head_rotation)
    translation = np.asarray(state.head_translation, np.float64)
    frames = _frames(verts, head.faces, strands.anchors)
    points = _place(
        strands.points,
        strands.starts,
        strands.kinds,
        strands.rest,
        verts[head.faces[strands.anchors]].mean(1, dtype=np.float32),
        frames,
        rotation,
        translation,
    )
    xy, inverse_depth = project(points, state, width, height)
    skull = rotation @ _MIDDLE + translation
    shaded = np.empty_like(points)
    shown = _seen(xy, inverse_depth, mesh_inverse_depth, strands.starts)
    _light(
        points,
        shown,
        strands.starts,
        strands.kinds,
        strands.colours,
        strands.open_sky,
        skull,
        np.asarray(state.eye_position, np.float64),
        shadow,
        light_frame,
        lamps,
        shaded,
    )
    segments, owners = _segments(strands.starts, shown)
    order = np.argsort(inverse_depth[segments], kind="stable")
    focal = height / 2 / np.tan(state.fov_y_rad / 2)
    _draw(
        segments[order],
        owners[order],
        strands.starts,
        strands.kinds,
        strands.widths,
        xy,
        inverse_depth,
        shaded,
        focal,
        mesh_inverse_depth,
        colour,
        cover,
    )


@njit(cache=True, nogil=True)
def _place(
    points: Floats,
    starts: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    rest: Floats,
    middle: Floats,
    frames: Floats,
    rotation: Doubles,
    translation: Doubles,
) -> Floats:
    """World positions (M, 3)."""
    placed = np.empty_like(points)
    give = np.zeros(3)
    for i in range(len(kinds)):
        first, last = starts[i], starts[i + 1]
        if kinds[i] == HAIR:
            for k in range(3):
                give[k] = -rest[i, k]
                for j in range(3):
                    give[k] += rotation[j, k] * (middle[i, j] - translation[j])
            for m in range(first, last):
                rooted = 1.0 - (m - first) / (last - 1 - first)
                for k in range(3):
                    total = translation[k]
                    for j in range(3):
                        total += rotation[k, j] * (points[m, j] + rooted * give[j])
                    placed[m, k] = total
        else:
            for m in range(first, last):
                for k in range(3):
                    total = np.float64(middle[i, k])
                    for j in range(3):
                        total += frames[i, k, j] * points[m, j]
                    placed[m, k] = total
    return placed


@njit(cache=True, nogil=True, inline="always")
def _clearance(kind: int) -> float:
    """Metres that a strand may lie behind the mesh and still be drawn."""
    return 0.0012 if kind == HAIR else 0.0005


@njit(cache=True, nogil=True)
def _seen(
    xy: NDArray[np.int64],
    inverse_depth: Doubles,
    mesh: Floats,
    starts: NDArray[np.int32],
) -> NDArray[np.bool_]:
    """(M,) whether the segment that begins at a point may show: its ends are tested."""
    height, width = mesh.shape
    free = np.zeros(len(xy), np.bool_)
    for m in range(len(xy)):
        x, y = xy[m, 0] >> 8, xy[m, 1] >> 8
        if 0 <= x < width and 0 <= y < height and inverse_depth[m] > 0:
            free[m] = inverse_depth[m] >= mesh[y, x] * (1 - 0.004)
    seen = np.zeros(len(xy), np.bool_)
    for i in range(len(starts) - 1):
        for m in range(starts[i], starts[i + 1]):
            following = m + 1 if m + 1 < starts[i + 1] else m
            previous = m - 1 if m > starts[i] else m
            seen[m] = free[m] or free[following] or free[previous]
    return seen


@njit(cache=True, nogil=True)
def _segments(
    starts: NDArray[np.int32], shown: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First points (S,) of the segments that may show, and the strands (S,) they belong to."""
    segments = np.empty(len(shown), np.int32)
    owners = np.empty(len(shown), np.int32)
    count = 0
    for i in range(len(starts) - 1):
        for m in range(starts[i], starts[i + 1] - 1):
            if shown[m] and shown[m + 1]:
                segments[count], owners[count] = m, i
                count += 1
    return segments[:count], owners[:count]


@njit(cache=True, nogil=True, fastmath=True)
def _light(
    points: Floats,
    shown: NDArray[np.bool_],
    starts: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    colours: Floats,
    open_sky: Floats,
    skull: Doubles,
    eye: Doubles,
    shadow: Floats,
    light_frame: Doubles,
    lamps: Doubles,
    out: Floats,
) -> None:
    """Colour (M, 3), sRGB 0..1, of the points that show."""
    t, n, v, light = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    total = np.empty(3)
    for i in range(len(kinds)):
        first, last = starts[i], starts[i + 1]
        for m in range(first, last):
            if not shown[m]:
                continue
            a, b = max(m - 1, first), min(m + 1, last - 1)
            lt, ln, lv = 1e-20, 1e-20, 1e-20
            for k in range(3):
                t[k] = points[b, k] - points[a, k]
                n[k] = points[m, k] - skull[k]
                v[k] = eye[k] - points[m, k]
                lt += t[k] * t[k]
                ln += n[k] * n[k]
                lv += v[k] * v[k]
            lt, ln, lv = 1 / sqrt(lt), 1 / sqrt(ln), 1 / sqrt(lv)
            for k in range(3):
                t[k] *= lt
                n[k] *= ln
                v[k] *= lv
            tv = t[0] * v[0] + t[1] * v[1] + t[2] * v[2]
            sky = open_sky[m]
            up = 0.5 + 0.5 * n[1]
            for k in range(3):
                total[k] = colours[i, k] * sky * (_FLOOR[k] + (_SKY[k] - _FLOOR[k]) * up)
            lit = 1.0
            if kinds[i] == HAIR or kinds[i] == BEARD:
                sx = light_frame[0, 3]
                sy = light_frame[1, 3]
                sz = light_frame[2, 3]
                for k in range(3):
                    sx += light_frame[0, k] * points[m, k]
                    sy += light_frame[1, k] * points[m, k]
                    sz += light_frame[2, k] * points[m, k]
                lit = _lit_share(shadow, sx, sy, sz, 0.006)
            for j in range(len(lamps)):
                tl, nl = 0.0, 0.0
                for k in range(3):
                    light[k] = lamps[j, k]
                    tl += t[k] * light[k]
                    nl += n[k] * light[k]
                across = sqrt(max(1.0 - tl * tl, 0.0))
                diffuse = across * min(max((nl + 0.35) / 1.35, 0.0), 1.0)
                # Where light and sight make mirrored angles with the strand it gleams; the outer
                # cells are tilted, which parts a white lobe from one that passed through colour.
                half = tl + tv
                white = exp(-((half - 0.14) ** 2) * 60.0)
                through = exp(-((half + 0.22) ** 2) * 14.0)
                facing = _smoothstep(-0.30, 0.45, nl)
                gloss = 1.0 if kinds[i] == HAIR else 0.3
                for k in range(3):
                    strength = lamps[j, 3 + k] * (lit if j == 0 else 1.0)
                    shine = 0.030 * white + 1.1 * colours[i, k] * through
                    total[k] += strength * sky * (0.62 * colours[i, k] * diffuse)
                    total[k] += strength * sky * sky * gloss * facing * across * shine
            for k in range(3):
                out[m, k] = _tone(total[k])


@njit(cache=True, nogil=True, fastmath=True)
def _draw(
    segments: NDArray[np.int32],
    owners: NDArray[np.int32],
    starts: NDArray[np.int32],
    kinds: NDArray[np.uint8],
    widths: Floats,
    xy: NDArray[np.int64],
    inverse_depth: Doubles,
    shaded: Floats,
    focal: float,
    mesh: Floats,
    colour: Floats,
    cover: Floats,
) -> None:
    """Blend the segments, in the order given, into `colour` and `cover`."""
    height, width = cover.shape
    for s in range(len(segments)):
        m, i = segments[s], owners[s]
        x0, y0 = xy[m, 0] / _SUBPIXELS, xy[m, 1] / _SUBPIXELS
        x1, y1 = xy[m + 1, 0] / _SUBPIXELS, xy[m + 1, 1] / _SUBPIXELS
        dx, dy = x1 - x0, y1 - y0
        steep = abs(dy) > abs(dx)
        if steep:
            x0, y0, x1, y1, dx, dy = y0, x0, y1, x1, dy, dx
        if abs(dx) < 1e-6:
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
            thick = widths[i] * (1.0 - 0.8 * at * at) * focal * near * stretch
            low, high = middle - 0.5 * thick, middle + 0.5 * thick
            limit = near * (1.0 + clear * near)
            for row in range(max(floor(low), 0), min(floor(high) + 1, rows)):
                x, y = (row, column) if steep else (column, row)
                if limit < mesh[y, x]:
                    continue
                alpha = min(high, row + 1.0) - max(low, np.float64(row))
                alpha = 0.92 * min(max(alpha, 0.0), 1.0)
                keep = 1.0 - alpha
                for k in range(3):
                    hue = shaded[c0, k] + share * (shaded[c1, k] - shaded[c0, k])
                    colour[y, x, k] = keep * colour[y, x, k] + alpha * hue
                cover[y, x] = keep * cover[y, x] + alpha
