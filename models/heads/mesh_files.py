"""Reads users' meshes into one form: glTF files with morph targets, OBJ files without.

Vertices keep the order of the file, so that a publisher can send the vertices of its own mesh.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.contract.frame_state import FloatArray
from models.geometry.unwrap import unroll
from models.heads.glb import Primitive, read_glb
from models.heads.gltf_accessors import MAX_VALUES
from models.heads.gltf_file import MeshFileError
from models.heads.meshes import Floats, Ints, Mesh
from models.heads.obj_file import read_obj_file

_IMAGE_TEXELS = 1024
"""Rows and columns of the joined base colour image."""


def read_mesh(path: Path) -> Mesh:
    """Read a `.glb`, `.gltf` or `.obj` file.

    Raises:
        MeshFileError: If the file is none of them, or unreadable.
    """
    match path.suffix.lower():
        case ".glb" | ".gltf":
            return _join(path, read_glb(path))
        case ".obj":
            return read_obj_file(path)
    raise MeshFileError(f"{path} must be a .glb, .gltf or .obj file")


def _join(path: Path, primitives: list[Primitive]) -> Mesh:
    """Join all primitives into one mesh, their texture layouts side by side."""
    starts = np.cumsum([0] + [len(p.verts) for p in primitives])
    names = list(dict.fromkeys(name for p in primitives for name in p.deltas))
    # Each part could name its own morph targets, and all of them get all names.
    if len(names) * int(starts[-1]) * 3 > MAX_VALUES:
        raise MeshFileError(f"{path}: expected fewer morph targets, got {len(names)} names")
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
            name: np.concatenate([p.deltas.get(name, _no_delta(p)) for p in primitives])
            for name in names
        },
        image=cells.image(primitives),
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
    """Move texture coordinates by whole tiles to 0..1, as far as they lie in one.

    Samplers repeat a texture unless told otherwise, and parts of a head often lie in tiles of their
    own (UDIM). What spans several tiles stays as it is.
    """
    if not len(uvs) or (uvs.min() >= 0 and uvs.max() <= 1):
        return uvs
    slack = 1e-3  # of coordinates that touch the border of their tile
    tile = np.floor(uvs.min(axis=0) + slack)
    moved = np.asarray(uvs - tile)
    return moved if moved.max() <= 1 + slack else uvs


class _Cells:
    """A grid of texture cells, one for every material: in the file each fills the whole square.

    Args:
        primitives: Those without texture coordinates get a cell each.
    """

    def __init__(self, primitives: list[Primitive]) -> None:
        keys = [(p.material, -1 if p.uvs is not None else i) for i, p in enumerate(primitives)]
        order = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        self._side = int(np.ceil(len(order) ** 0.5))
        self._cell = [divmod(order[key], self._side) for key in keys]

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
