"""Reads users' meshes into one form: GLB files with morph targets, OBJ files without.

Vertices keep the order of the file, so that a publisher can send the vertices of its own mesh.
trimesh reads OBJ files 2 to 3 times as fast, but loses object names and some texture coordinates,
and answers an index out of range with an IndexError; of GLB files it reads no morph targets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.geometry.unwrap import unroll
from models.heads.glb import MeshFileError, Primitive, read_glb
from models.heads.meshes import Floats, Ints

_IMAGE_TEXELS = 1024
"""Rows and columns of the joined base colour image."""


@dataclass
class Mesh:
    """Triangles of one file."""

    verts: Floats  # (V, 3)
    faces: Ints  # (F, 3)
    uvs: Floats | None  # (T, 2), v downwards
    uv_faces: Ints | None  # (F, 3)
    part_names: list[str]
    """Names of the parts in the file."""
    parts: Ints  # (F,) index into part_names
    deltas: dict[str, Floats] = field(default_factory=dict)  # (V, 3) by name
    image: NDArray[np.uint8] | None = None
    """(h, w, 4) sRGB base colour and whether there is one (0 or 255), laid out by `uvs`."""


def read_mesh(path: Path) -> Mesh:
    """Read a `.glb` or `.obj` file.

    Raises:
        MeshFileError: If the file is neither, or unreadable.
    """
    match path.suffix.lower():
        case ".glb":
            return _join(read_glb(path))
        case ".obj":
            return _read_obj(path)
    raise MeshFileError(f"{path} must be a .glb or an .obj file")


def _join(primitives: list[Primitive]) -> Mesh:
    """Join all primitives into one mesh, their texture layouts side by side."""
    starts = np.cumsum([0] + [len(p.verts) for p in primitives])
    names = list(dict.fromkeys(name for p in primitives for name in p.deltas))
    layouts = [_layout(p) for p in primitives]
    uv_starts = np.cumsum([0] + [len(uvs) for uvs, _ in layouts])
    cells = _Cells(primitives)
    return Mesh(
        verts=np.concatenate([p.verts for p in primitives]),
        faces=np.concatenate([p.faces + s for p, s in zip(primitives, starts, strict=False)]),
        uvs=np.concatenate([cells.fit(i, uvs) for i, (uvs, _) in enumerate(layouts)]),
        uv_faces=np.concatenate([f + s for (_, f), s in zip(layouts, uv_starts, strict=False)]),
        part_names=[p.name for p in primitives],
        parts=np.repeat(np.arange(len(primitives)), [len(p.faces) for p in primitives]),
        deltas={
            name: np.concatenate([p.deltas.get(name, np.zeros_like(p.verts)) for p in primitives])
            for name in names
        },
        image=cells.image(primitives),
    )


def _layout(primitive: Primitive) -> tuple[Floats, Ints]:
    """Return the texture coordinates of a primitive, unrolled where the file has none."""
    if primitive.uvs is not None:
        return primitive.uvs, primitive.faces
    uvs, uv_faces = unroll(primitive.verts.astype(np.float32), primitive.faces.astype(np.int32))
    return uvs.astype(np.float64), uv_faces.astype(np.int64)


class _Cells:
    """A grid of texture cells, one for every material: in the file each fills the whole square.

    Args:
        primitives: Those without texture coordinates get a cell each.
    """

    def __init__(self, primitives: list[Primitive]) -> None:
        keys = [(p.material, -1 if p.uvs is not None else i) for i, p in enumerate(primitives)]
        order = list(dict.fromkeys(keys))
        self._side = int(np.ceil(len(order) ** 0.5))
        self._cell = [divmod(order.index(key), self._side) for key in keys]

    def fit(self, index: int, uvs: Floats) -> Floats:
        """Return a primitive's texture coordinates in its cell."""
        row, column = self._cell[index]
        corner = np.array([column, row])
        placed: Floats = (np.clip(uvs, 0, 1) + corner) / self._side
        return placed

    def image(self, primitives: list[Primitive]) -> NDArray[np.uint8] | None:
        """Return the base colour images of the materials, each in its cell; None without any."""
        texels = _IMAGE_TEXELS // self._side
        joined = np.zeros((texels * self._side, texels * self._side, 4), np.uint8)
        for primitive, (row, column) in zip(primitives, self._cell, strict=True):
            if primitive.image is not None and primitive.uvs is not None:
                part = joined[row * texels :, column * texels :][:texels, :texels]
                part[..., :3] = np.array(Image.fromarray(primitive.image).resize((texels, texels)))
                part[..., 3] = 255
        return joined if joined[..., 3].any() else None


def _read_obj(path: Path) -> Mesh:
    """Read vertices, texture coordinates and polygons; parts by object, group and material."""
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
    """Split polygons into triangles.

    Args:
        lines: Words of each line of the file.

    Returns:
        Corners as [vertex, texture coordinate] indices of the file, three in a row for each
        triangle; the part of each triangle; the names of the parts.
    """
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
