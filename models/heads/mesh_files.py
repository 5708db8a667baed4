"""Reads users' meshes into one form: glTF files with morph targets, OBJ files without.

Vertices keep the order of the file, so that a publisher can send the vertices of its own mesh.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.contract.frame_state import FloatArray
from models.contract.shown_text import shown
from models.geometry.unwrap import unroll
from models.heads.glb import Primitive, read_glb
from models.heads.gltf_accessors import MAX_VALUES
from models.heads.gltf_file import MeshFileError
from models.heads.meshes import Floats, Ints, Mesh
from models.heads.obj_file import read_obj_file

_IMAGE_TEXELS = 1024
"""Rows and columns of the joined base colour image."""
_MOST_TILES = 8
"""Maximum number of tiles of a texture in each direction: more are a pattern, or one wrong
coordinate, and would leave only a few texels for the rest of the layout."""


def read_mesh(path: Path) -> Mesh:
    """Read a `.glb`, `.gltf` or `.obj` file.

    Raises:
        MeshFileError: If the file is none of them, or unreadable.
    """
    match path.suffix.lower():
        case ".glb" | ".gltf":
            notes: list[str] = []
            mesh = _join(path, read_glb(path, notes.append))
            return replace(mesh, notes=[*notes, *mesh.notes])
        case ".obj":
            return read_obj_file(path)
    raise MeshFileError(f"{path} must be a .glb, .gltf or .obj file")


_SLACK = 1e-3
"""Tolerance for coordinates that touch the border of their tile."""


def _join(path: Path, primitives: list[Primitive]) -> Mesh:
    """Join all primitives into one mesh, their texture layouts side by side."""
    starts = np.cumsum([0] + [len(p.verts) for p in primitives])
    names = list(dict.fromkeys(name for p in primitives for name in p.deltas))
    # Each part could name its own morph targets, and all of them get all names.
    if len(names) * int(starts[-1]) * 3 > MAX_VALUES:
        raise MeshFileError(f"{path}: expected fewer morph targets, got {len(names)} names")
    layouts = [_layout(p) for p in primitives]
    uv_starts = np.cumsum([0] + [len(uvs) for uvs, _ in layouts])
    cells = _Cells(primitives, [uvs for uvs, _ in layouts])
    return Mesh(
        verts=np.concatenate([p.verts for p in primitives]),
        faces=np.concatenate([p.faces + s for p, s in zip(primitives, starts, strict=False)]),
        uvs=np.concatenate([cells.fit(i, uvs) for i, (uvs, _) in enumerate(layouts)]),
        uv_faces=np.concatenate([f + s for (_, f), s in zip(layouts, uv_starts, strict=False)]),
        part_names=[p.name for p in primitives],
        parts=np.repeat(np.arange(len(primitives)), [len(p.faces) for p in primitives]),
        deltas={
            name: np.concatenate([p.deltas.get(name, _no_delta(p)) for p in primitives])
            for name in names
        },
        image=cells.image(primitives),
        notes=cells.notes(primitives),
    )


def _no_delta(primitive: Primitive) -> FloatArray:
    return np.zeros(primitive.verts.shape, np.float32)


def _layout(primitive: Primitive) -> tuple[Floats, Ints]:
    """Return the texture coordinates of a primitive, unrolled where the file has none."""
    if primitive.uvs is not None:
        return _in_one_tile(primitive.uvs), primitive.faces
    uvs, uv_faces = unroll(primitive.verts.astype(np.float32), primitive.faces.astype(np.int32))
    return uvs.astype(np.float64), uv_faces.astype(np.int64)


def _in_one_tile(uvs: Floats) -> Floats:
    """Move texture coordinates by whole tiles, so that the first tile is 0..1.

    Samplers repeat a texture unless told otherwise, and parts of a head often lie in tiles of their
    own (UDIM).
    """
    if not len(uvs) or (uvs.min() >= 0 and uvs.max() <= 1):
        return uvs
    return np.asarray(uvs - np.floor(uvs.min(axis=0) + _SLACK))


class _Cells:
    """A grid of texture cells, one for every material: in the file each fills the whole square.

    A cell holds as many repeats of the image as the coordinates span, so that no two places of the
    surface share a texel.

    Args:
        primitives: Those without texture coordinates get a cell each.
        layouts: Texture coordinates (n, 2) of each, from 0.
    """

    def __init__(self, primitives: list[Primitive], layouts: list[Floats]) -> None:
        keys = [(p.material, -1 if p.uvs is not None else i) for i, p in enumerate(primitives)]
        order = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        self._side = int(np.ceil(len(order) ** 0.5))
        self._cell = [divmod(order[key], self._side) for key in keys]
        self._tiles = dict.fromkeys(self._cell, (1, 1))
        """Columns and rows of repeats, by cell."""
        for cell, uvs in zip(self._cell, layouts, strict=True):
            if len(uvs):
                spanned = np.ceil(uvs.max(axis=0) - _SLACK).clip(self._tiles[cell], _MOST_TILES)
                self._tiles[cell] = (int(spanned[0]), int(spanned[1]))

    def fit(self, index: int, uvs: Floats) -> Floats:
        """Return a primitive's texture coordinates in its cell."""
        row, column = self._cell[index]
        tiles, corner = self._tiles[row, column], np.array([column, row])
        placed: Floats = (np.clip(uvs / np.array(tiles), 0, 1) + corner) / self._side
        return placed

    def image(self, primitives: list[Primitive]) -> NDArray[np.uint8] | None:
        """Return the base colour images of the materials, each in its cell; None without any."""
        texels = _IMAGE_TEXELS // self._side
        joined = np.zeros((texels * self._side, texels * self._side, 4), np.uint8)
        painted = set[tuple[int, int]]()  # a mesh has up to 2000 parts, and few materials
        for primitive, (row, column) in zip(primitives, self._cell, strict=True):
            if primitive.image is None or primitive.uvs is None or (row, column) in painted:
                continue
            painted.add((row, column))
            part = joined[row * texels :, column * texels :][:texels, :texels]
            columns, rows = self._tiles[row, column]
            tile = Image.fromarray(primitive.image).resize((texels // columns, texels // rows))
            whole = Image.fromarray(np.tile(np.array(tile), (rows, columns, 1)))
            part[..., :3] = np.array(whole.resize((texels, texels)))
            part[..., 3] = 255
        return joined if joined[..., 3].any() else None

    def notes(self, primitives: list[Primitive]) -> list[str]:
        """Return a line for each material whose texture is repeated."""
        names: dict[tuple[int, int], list[str]] = {}
        for primitive, cell in zip(primitives, self._cell, strict=True):
            if self._tiles[cell] != (1, 1):
                names.setdefault(cell, []).append(shown(primitive.name) or "a part")
        return [
            f"{', '.join(parts[:4])}{' ...' if len(parts) > 4 else ''}: the texture is repeated in "
            f"{self._tiles[cell][0]} x {self._tiles[cell][1]} tiles, as its coordinates span"
            for cell, parts in names.items()
        ]
