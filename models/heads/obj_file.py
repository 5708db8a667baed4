"""Reads OBJ files: vertices, texture coordinates, polygons and the names of their parts.

trimesh reads them 2 to 3 times as fast, but loses object names and some texture coordinates, and
answers an index out of range with an IndexError.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from pathlib import Path

import numpy as np

from models.contract.shown_text import reason
from models.heads.glb import MAX_TRIANGLES, MAX_VERTS
from models.heads.gltf_file import MAX_BYTES, MeshFileError
from models.heads.meshes import Mesh

_MAX_CORNERS = 1000
"""Maximum number of corners of a polygon."""
_MAX_LINE = 1 << 16
"""Characters of a line: those of a polygon with `_MAX_CORNERS`."""
_MAX_PARTS = 10_000
_MAX_COORDINATE = 1e6
_UNUSED = {
    "mtllib": "materials and textures of another file (save it as a GLB file to keep them)",
    **dict.fromkeys(("curv", "curv2", "surf"), "free-form curves and surfaces"),
    **dict.fromkeys(("l", "p"), "points and lines"),
}
"""Meanings of rows that are not read, by their first word."""


def read_obj_file(path: Path) -> Mesh:
    """Read an OBJ file; its parts are named by object, group and material.

    Raises:
        MeshFileError: If it is unreadable, too large, or holds no triangles.
    """
    try:
        rows = _Rows(path)
    except MeshFileError as exc:
        raise MeshFileError(f"{path}: {exc}") from exc
    except (OSError, ValueError, OverflowError) as exc:
        raise MeshFileError(f"{path} is not a readable OBJ file: {reason(exc)}") from exc
    verts = np.array(rows.verts, np.float64).reshape(-1, 3)
    uvs = np.array(rows.uvs, np.float64).reshape(-1, 2)
    index = np.array(rows.corners, np.int64).reshape(-1, 3, 2)
    # Negative numbers count from the end.
    index = np.where(index < 0, index + np.array([len(verts), len(uvs)]), index - 1)
    if len(index) == 0:
        raise MeshFileError(f"{path} holds no triangles")
    if not (np.abs(verts) < _MAX_COORDINATE).all():
        raise MeshFileError(f"{path}: expected vertices within {_MAX_COORDINATE:g} units")
    if not 0 <= index[..., 0].min() <= index[..., 0].max() < len(verts):
        raise MeshFileError(f"{path}: faces must index its {len(verts)} vertices")
    laid_out = len(uvs) > 0 and 0 <= index[..., 1].min() <= index[..., 1].max() < len(uvs)
    laid_out = laid_out and bool((np.abs(uvs) < _MAX_COORDINATE).all())
    if len(uvs) and not laid_out:
        rows.unused["texture coordinates: some corners have no valid one"] = None
    return Mesh(
        verts=verts,
        faces=index[..., 0],
        uvs=uvs * [1, -1] + [0, 1] if laid_out else None,
        uv_faces=index[..., 1] if laid_out else None,
        part_names=list(rows.part_numbers),
        parts=np.array(rows.parts, np.int64),
        notes=[f"not used: {what}" for what in rows.unused],
    )


class _Rows:
    """The rows of a file, read line by line: a large file needs no more memory than its numbers.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.verts, self.uvs = array("d"), array("d")
        self.corners = array("q")
        """Indices of vertex and texture coordinate as in the file, three pairs for a triangle."""
        self.parts = array("q")
        self.part_numbers: dict[str, int] = {}
        self.unused: dict[str, None] = {}
        """Features of the file that are not read."""
        self._names = {"o": "", "g": "", "usemtl": ""}
        if path.stat().st_size > MAX_BYTES:
            raise MeshFileError(f"expected at most {MAX_BYTES >> 20} MB")
        # Names and comments may be in any encoding; numbers are ASCII.
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            while line := file.readline(_MAX_LINE):
                while line.rstrip().endswith("\\") and len(line) < _MAX_LINE:
                    more = file.readline(_MAX_LINE)
                    line = line.rstrip().removesuffix("\\") + " " + more
                    if not more:
                        break
                if len(line) >= _MAX_LINE:
                    raise MeshFileError(f"expected lines of less than {_MAX_LINE} characters")
                words = line.partition("#")[0].split()
                if "_" in line and words[:1] in (["v"], ["vt"], ["f"]):  # float() accepts 1_0
                    raise ValueError(f"{words[0]} has numbers with _")
                self._add(words)
        if not self.verts:
            raise MeshFileError("not a readable OBJ file: it has no vertices")

    def _add(self, words: list[str]) -> None:
        match words:
            case ["v", x, y, z, *more]:
                self.verts.extend((float(x), float(y), float(z)))
                if len(more) > 1:  # one more is the weight of a curve
                    self.unused["colours of vertices"] = None
                if len(self.verts) > 3 * MAX_VERTS:
                    raise MeshFileError(f"expected at most {MAX_VERTS} vertices: reduce the mesh")
            case ["vt", u, v, *_]:
                self.uvs.extend((float(u), float(v)))
                if len(self.uvs) > 4 * MAX_VERTS:
                    raise MeshFileError(f"expected at most {2 * MAX_VERTS} texture coordinates")
            case ["v" | "vt", *_]:
                raise ValueError(f"{words[0]} has {len(words) - 1} numbers")
            case [("o" | "g" | "usemtl") as kind, *names]:
                self._names[kind] = " ".join(names)
            case ["f", *ends]:
                self._add_polygon(ends)
            case [word, *_] if word in _UNUSED:
                self.unused[_UNUSED[word]] = None

    def _add_polygon(self, words: list[str]) -> None:
        """Split a polygon into triangles."""
        if len(words) > _MAX_CORNERS:
            raise MeshFileError(f"expected polygons of at most {_MAX_CORNERS} corners")
        ends = [[int(n or 0) for n in (*w.split("/"), "0")[:2]] for w in words]
        name = " ".join(filter(None, self._names.values()))
        part = self.part_numbers.setdefault(name, len(self.part_numbers))
        if part >= _MAX_PARTS:
            raise MeshFileError(f"expected at most {_MAX_PARTS} parts: join them")
        for second, third in pairwise(ends[1:]):
            self.corners.extend((*ends[0], *second, *third))
            self.parts.append(part)
        if len(self.parts) > MAX_TRIANGLES:
            raise MeshFileError(f"expected at most {MAX_TRIANGLES} triangles: reduce the mesh")
