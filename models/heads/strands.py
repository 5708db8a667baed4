"""Grows all single hairs and anchors each to a triangle of the mesh.

They are not part of the mesh: the studio draws them over it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heads.beard import beard_tuft
from models.heads.brows import brow_tufts
from models.heads.hair import hair_thickness
from models.heads.lashes import lash_tufts
from models.heads.meshes import Floats, Ints
from models.heads.scalp_hair import scalp_tufts
from models.heads.source import Source

_SEED = 11
_BLOCK = 500
"""Points whose distances to all candidates are in memory at once."""
_LONG_INSET, _CURLED_LESS, _LEAST_INSET_M = 0.62, 0.3, 0.0015
"""Share of the hair's height by which its hull sinks below the strands, how much less it sinks in
curls, between which roots are visible, and the height that never sinks. Chosen by eye."""
_EVEN_INSET_M = 0.0035
"""Distance by which the hulls of buns and bobs, which the mask "detail" marks, sink everywhere."""


def strand_arrays(source: Source, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Grow all hairs and anchor them to the triangles of the head file's `arrays`."""
    random = np.random.default_rng(_SEED)
    tufts = [*scalp_tufts(source, random), *brow_tufts(source, arrays, random)]
    tufts += [t for side in "lr" for t in lash_tufts(source, side, random)]
    if source.recipe.appearance.beard > 0:
        tufts.append(beard_tuft(source, arrays, random))
    names = list(arrays["material_names"])
    middle = arrays["neutral"][arrays["faces"]].mean(1)
    anchored = []
    for tuft in tufts:
        faces = np.nonzero(arrays["materials"] == names.index(tuft.holder))[0]
        anchored.append(faces[_nearest(tuft.roots, middle[faces])])
    anchors = np.concatenate(anchored)
    points = [t.points.reshape(-1, 3) for t in tufts]
    inset = np.zeros(len(arrays["neutral"]))
    hair = np.unique(arrays["faces"][arrays["materials"] == names.index("hair")])
    rise = arrays["masks"][hair, list(arrays["mask_names"]).index("hair")].astype(np.float64)
    even = arrays["masks"][hair, list(arrays["mask_names"]).index("detail")] > 0.5
    thick = hair_thickness(arrays["neutral"][hair].astype(np.float64), rise, source.recipe.hair)
    share = _LONG_INSET - _CURLED_LESS * source.recipe.appearance.curl
    sunk = share * np.maximum(thick - _LEAST_INSET_M, 0)
    inset[hair] = np.where(even, _EVEN_INSET_M, sunk)
    counts = np.concatenate([np.full(len(t.points), t.points.shape[1]) for t in tufts])
    return {
        "strand_inset": inset.astype(np.float16),
        # Offsets from the middle of a triangle are small enough for half floats.
        "strand_points": (
            np.concatenate(points) - np.repeat(middle[anchors], counts, axis=0)
        ).astype(np.float16),
        "strand_counts": counts.astype(np.uint8),
        "strand_anchors": anchors.astype(np.int32),
        "strand_kinds": np.concatenate([np.full(len(t.points), t.kind) for t in tufts]).astype(
            np.uint8
        ),
        "strand_widths": np.concatenate([t.width for t in tufts]).astype(np.float16),
        "strand_tones": np.concatenate([t.tone for t in tufts]).astype(np.float16),
        "strand_open_sky": np.concatenate([t.open_sky.ravel() for t in tufts]).astype(np.float16),
    }


def _nearest(points: Floats, candidates: Floats) -> Ints:
    """Return (n,) the index of the nearest candidate; works in blocks that fit in memory."""
    blocks = [
        np.argmin(((points[i : i + _BLOCK, None] - candidates[None]) ** 2).sum(-1), axis=1)
        for i in range(0, len(points), _BLOCK)
    ]
    return np.concatenate(blocks)
