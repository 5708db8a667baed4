"""Meshes as people bring them: GLB with morph targets, OBJ without. One form for both.

Vertices keep the order of the file, so that who posts a frame's `vertices` can post the file's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.baking.glb import MeshFileError, Primitive, read_glb
from scripts.baking.meshes import Floats, Ints


@dataclass
class Mesh:
    """Triangles of one file."""

    verts: Floats  # (V, 3)
    faces: Ints  # (F, 3)
    uvs: Floats | None  # (T, 2), v downwards
    uv_faces: Ints | None  # (F, 3)
    part_names: list[str]
    """What the file calls its parts."""
    parts: Ints  # (F,) index into part_names
    deltas: dict[str, Floats] = field(default_factory=dict)  # (V, 3) by name
    picture: NDArray[np.uint8] | None = None
    """(h, w, 3) sRGB base colour, laid out by `uvs`, of a file with a single material."""


def read_mesh(path: Path) -> Mesh:
    """Read a `.glb` or `.obj` file.

    Raises:
        MeshFileError: If it is neither, or unreadable.
    """
    match path.suffix.lower():
        case ".glb":
            return _join(read_glb(path))
        case ".obj":
            return _read_obj(path)
    raise MeshFileError(f"{path} must be a .glb or an .obj file")


def _join(primitives: list[Primitive]) -> Mesh:
    """All primitives as one mesh, their texture layouts side by side."""
    starts = np.cumsum([0] + [len(p.verts) for p in primitives])
    names = list(dict.fromkeys(name for p in primitives for name in p.deltas))
    faces = np.concatenate([p.faces + s for p, s in zip(primitives, starts, strict=False)])
    uvs = None
    if all(p.uvs is not None for p in primitives):
        uvs = _side_by_side([p.uvs for p in primitives if p.uvs is not None], primitives)
    return Mesh(
        verts=np.concatenate([p.verts for p in primitives]),
        faces=faces,
        uvs=uvs,
        uv_faces=None if uvs is None else faces,
        part_names=[p.name for p in primitives],
        parts=np.repeat(np.arange(len(primitives)), [len(p.faces) for p in primitives]),
        deltas={
            name: np.concatenate([p.deltas.get(name, np.zeros_like(p.verts)) for p in primitives])
            for name in names
        },
        picture=primitives[0].picture if len({p.material for p in primitives}) == 1 else None,
    )


def _side_by_side(uvs: list[Floats], primitives: list[Primitive]) -> Floats:
    """Give every material a cell of its own: each has the whole square in its file."""
    materials = list(dict.fromkeys(p.material for p in primitives))
    cells = int(np.ceil(len(materials) ** 0.5))
    placed = []
    for uv, primitive in zip(uvs, primitives, strict=True):
        cell = materials.index(primitive.material)
        corner = np.array([cell % cells, cell // cells])
        placed.append((np.clip(uv, 0, 1) + corner) / cells)
    return np.concatenate(placed)


def _read_obj(path: Path) -> Mesh:
    """Vertices, texture coordinates and polygons; parts by object, group and material."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
        verts = np.array([w[1:4] for w in lines if w[:1] == ["v"]], float).reshape(-1, 3)
        uvs = np.array([w[1:3] for w in lines if w[:1] == ["vt"]], float).reshape(-1, 2)
        corners, parts, part_names = _polygons(lines)
        index = np.array(corners, np.int64).reshape(-1, 3, 2)
        # Negative numbers count from the end.
        ends = np.array([len(verts), len(uvs)])
        index = np.where(index < 0, index + ends, index - 1)
    except (OSError, ValueError, IndexError) as exc:
        raise MeshFileError(f"{path} is not a readable OBJ file: {exc}") from exc
    if len(index) == 0:
        raise MeshFileError(f"{path} holds no triangles")
    if not 0 <= index[..., 0].min() <= index[..., 0].max() < len(verts):
        raise MeshFileError(f"{path}: faces must index its {len(verts)} vertices")
    laid_out = len(uvs) > 0 and 0 <= index[..., 1].min() <= index[..., 1].max() < len(uvs)
    return Mesh(
        verts=verts,
        faces=index[..., 0],
        uvs=uvs * [1, -1] + [0, 1] if laid_out else None,
        uv_faces=index[..., 1] if laid_out else None,
        part_names=part_names,
        parts=np.array(parts),
    )


def _polygons(lines: list[list[str]]) -> tuple[list[list[int]], list[int], list[str]]:
    """Triangles' corners as (vertex, texture) numbers, each triangle's part, the parts' names."""
    corners: list[list[int]] = []
    parts: list[int] = []
    names = {"o": "", "g": "", "usemtl": ""}
    known: dict[str, int] = {}
    for words in lines:
        if words[:1] and words[0] in names:
            names[words[0]] = " ".join(words[1:])
        elif words[:1] == ["f"]:
            ends = [[int(n or 0) for n in (*w.split("/"), "0")[:2]] for w in words[1:]]
            part = known.setdefault(" ".join(filter(None, names.values())), len(known))
            for second, third in pairwise(ends[1:]):
                corners += [ends[0], second, third]
                parts.append(part)
    return corners, parts, list(known)
