"""Single hairs of a head: hair, brows, lashes and beards, and where a posed head has them.

The mesh carries only their hull; `strand_rendering` draws the hairs over it. Hair keeps its
position on the head and bends only at its root; brows, lashes and beards follow the triangle of the
face that they are anchored to.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.geometry.head import Head
from models.studio.appearance import Appearance

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HAIR, BROW, LASH, BEARD = range(4)
"""Kinds of strands."""


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
    frames = anchor_frames(head.neutral, head.faces, anchors)
    of = np.repeat(np.arange(len(counts)), counts)
    local = np.einsum("mk,mkc->mc", points, frames[of])
    points = np.where((kinds == HAIR)[of, None], points + rest[of], local).astype(np.float32)
    colours = np.ascontiguousarray(dark + tones * (light - dark), np.float32)
    return Strands(points, starts, anchors, kinds, widths, colours, open_sky, rest, inset)


@njit(cache=True, nogil=True)
def anchor_frames(verts: Floats, faces: NDArray[np.int32], anchors: NDArray[np.int32]) -> Floats:
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


@njit(cache=True, nogil=True)
def pose_strands(
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
