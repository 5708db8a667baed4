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
_LIGHT_BROW = 2.2
"""Brightness of a brow's lightest hairs, by its colour. Chosen by eye."""
_MIN_SQUARED_LENGTH = 1e-24  # of vectors that are normalised: none must divide by 0


@dataclass(frozen=True, slots=True, eq=False)
class Strands:
    """N hairs with M points in total, on the neutral head."""

    points: Floats
    """(M, 3) metres, in head space (hair) or in the frame of the anchor (all others)."""
    starts: NDArray[np.int32]
    """(N + 1,) first point of each hair, and M."""
    anchors: NDArray[np.int32]
    """(N,) triangle that each is anchored to."""
    kinds: NDArray[np.uint8]
    """(N,) HAIR, BROW, LASH or BEARD."""
    widths: Floats
    """(N,) metres at the root."""
    colours: Floats
    """(N, 3) linear RGB."""
    open_sky: Floats
    """(M,) share of the light that other hairs let through, 0..1."""
    rest: Floats
    """(N, 3) middle of the anchor on the neutral head."""
    inset: Floats
    """(V,) metres by which the hull is pulled in below the outside of the hair."""


def load_strands(path: Path, head: Head, appearance: Appearance) -> Strands | None:
    """Load the hairs of a head file, in the colours of an appearance; None if it has none."""
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
    # Brows get their lighter hairs from their own colour, lashes are uniform, and a beard has the
    # colours of the hair.
    darks = [appearance.hair_dark, appearance.brow, appearance.lash, appearance.hair_dark]
    lights = [
        appearance.hair_light,
        _LIGHT_BROW * np.array(appearance.brow),
        appearance.lash,
        appearance.hair_light,
    ]
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
    """Return (N, 3, 3) the axes of the anchors, in columns: along an edge, across, outwards."""
    frames = np.empty((len(anchors), 3, 3), np.float32)
    for i in range(len(anchors)):
        a, b, c = faces[anchors[i]]
        ux, uy, uz = verts[b] - verts[a]
        wx, wy, wz = verts[c] - verts[a]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        n = 1 / sqrt(max(nx * nx + ny * ny + nz * nz, _MIN_SQUARED_LENGTH))
        u = 1 / sqrt(max(ux * ux + uy * uy + uz * uz, _MIN_SQUARED_LENGTH))
        nx, ny, nz, ux, uy, uz = nx * n, ny * n, nz * n, ux * u, uy * u, uz * u
        # One by one: numba compiles the assignment of a row for 2 s longer.
        frames[i, 0, 0], frames[i, 0, 1], frames[i, 0, 2] = ux, ny * uz - nz * uy, nx
        frames[i, 1, 0], frames[i, 1, 1], frames[i, 1, 2] = uy, nz * ux - nx * uz, ny
        frames[i, 2, 0], frames[i, 2, 1], frames[i, 2, 2] = uz, nx * uy - ny * ux, nz
    return frames


def sink_hull(strands: Strands, verts: Floats, normals: Floats) -> Floats:
    """Return the posed vertices (V, 3) with the hull of the hair pulled in below the strands."""
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
    """Pose all strands.

    Args:
        points: (M, 3) points at rest, metres, as `Strands.points`.
        starts: (N + 1,) first point of each hair, and M.
        kinds: (N,) HAIR, BROW, LASH or BEARD.
        rest: (N, 3) middle of the anchors on the neutral head.
        middle: (N, 3) middle of the anchors in this pose, world.
        frames: (N, 3, 3) as `anchor_frames`, in this pose.
        rotation: (3, 3) head to world.
        translation: (3,) metres.

    Returns:
        World positions (M, 3).
    """
    posed = np.empty_like(points)
    shift = np.zeros(3)
    for i in range(len(kinds)):
        first, last = starts[i], starts[i + 1]
        if kinds[i] == HAIR:
            # Expressions move the scalp. Hair follows with its root and ever less towards its tip.
            for k in range(3):
                shift[k] = -rest[i, k]
                for j in range(3):
                    shift[k] += rotation[j, k] * (middle[i, j] - translation[j])
            for m in range(first, last):
                rooted = 1.0 - (m - first) / (last - 1 - first)
                for k in range(3):
                    total = translation[k]
                    for j in range(3):
                        total += rotation[k, j] * (points[m, j] + rooted * shift[j])
                    posed[m, k] = total
        else:
            for m in range(first, last):
                for k in range(3):
                    total = np.float64(middle[i, k])
                    for j in range(3):
                        total += frames[i, k, j] * points[m, j]
                    posed[m, k] = total
    return posed
