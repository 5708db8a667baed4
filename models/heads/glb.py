"""Reads a GLB file's triangles, texture coordinates, morph targets and base colour images.

trimesh drops morph targets, other readers leave accessors to their caller. The subset of glTF 2.0
(khronos.org/gltf) that a head needs is small enough to be read here.
"""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.geometry.camera import quaternion_to_matrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COUNTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_UNREADABLE = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")


class MeshFileError(ValueError):
    """A mesh file is unreadable, or its mesh cannot be a head."""


@dataclass
class Primitive:
    """Triangles of one material, placed in the scene."""

    name: str
    """Names of material, mesh and node, from which its kind is guessed."""
    verts: Floats  # (n, 3)
    faces: Ints  # (f, 3)
    uvs: Floats | None  # (n, 2), v downwards
    material: int
    """Number in the file; -1 for none."""
    deltas: dict[str, Floats] = field(default_factory=dict)  # (n, 3) by name
    image: NDArray[np.uint8] | None = None
    """(h, w, 3) sRGB base colour texture."""


def read_glb(path: Path) -> list[Primitive]:
    """Read all triangles of a file's scene.

    Raises:
        MeshFileError: If the file is not a GLB 2.0 file, is broken or compressed, or holds no
            triangles.
    """
    try:
        primitives = _Glb(path.read_bytes()).primitives()
    except MeshFileError as exc:
        raise MeshFileError(f"{path}: {exc}") from exc
    except (OSError, ValueError, KeyError, IndexError, TypeError, struct.error) as exc:
        raise MeshFileError(f"{path} is not a readable GLB file: {exc!r}") from exc
    if not primitives:
        raise MeshFileError(f"{path} holds no triangles")
    return primitives


class _Glb:
    def __init__(self, data: bytes) -> None:
        magic, version, _ = struct.unpack_from("<4sII", data)
        if magic != b"glTF" or version != 2:
            raise MeshFileError("expected a binary glTF 2.0 file")
        chunks, offset = {}, 12
        while offset + 8 <= len(data):
            length, kind = struct.unpack_from("<I4s", data, offset)
            chunks[kind] = data[offset + 8 : offset + 8 + length]
            offset += 8 + length
        self._json: dict[str, Any] = json.loads(chunks[b"JSON"])
        self._binary = chunks.get(b"BIN\0", b"")
        for name in self._json.get("extensionsRequired", ()):
            if name in _UNREADABLE:
                raise MeshFileError(f"it needs {name}: save it without compression")

    def primitives(self) -> list[Primitive]:
        """Return all triangles of the scene, in world space."""
        scene = self._json.get("scene", 0)
        scenes = self._json.get("scenes")
        roots = scenes[scene]["nodes"] if scenes else range(len(self._json["nodes"]))
        return [part for node in roots for part in self._node(node, np.eye(4))]

    def _node(self, index: int, parent: Floats) -> list[Primitive]:
        node = self._json["nodes"][index]
        world = parent @ _matrix(node)
        parts = []
        if "mesh" in node:
            mesh = self._json["meshes"][node["mesh"]]
            for primitive in mesh["primitives"]:
                if primitive.get("mode", _TRIANGLES) in (_TRIANGLES, _STRIP, _FAN):
                    parts.append(self._primitive(node, mesh, primitive, world))
        for child in node.get("children", ()):
            parts += self._node(child, world)
        return parts

    def _primitive(
        self, node: dict[str, Any], mesh: dict[str, Any], given: dict[str, Any], world: Floats
    ) -> Primitive:
        attributes = given["attributes"]
        verts = self.accessor(attributes["POSITION"])
        indices = np.arange(len(verts))
        if "indices" in given:
            indices = self.accessor(given["indices"]).astype(np.int64).reshape(-1)
        faces = _triangles(indices, given.get("mode", _TRIANGLES))
        # A mirroring transform turns the winding around.
        if np.linalg.det(world[:3, :3]) < 0:
            faces = faces[:, ::-1]
        material = self._json["materials"][given["material"]] if "material" in given else {}
        names = (material.get("name"), mesh.get("name"), node.get("name"))
        surface = material.get("pbrMetallicRoughness", {})
        uvs = attributes.get("TEXCOORD_0")
        return Primitive(
            name=" ".join(name for name in names if name),
            verts=verts @ world[:3, :3].T + world[:3, 3],
            faces=faces,
            uvs=None if uvs is None else self.accessor(uvs),
            deltas=self._deltas(mesh, given, world),
            material=given.get("material", -1),
            image=self._image(surface.get("baseColorTexture")),
        )

    def _deltas(
        self, mesh: dict[str, Any], given: dict[str, Any], world: Floats
    ) -> dict[str, Floats]:
        targets = given.get("targets", [])
        names = mesh.get("extras", {}).get("targetNames") or [f"target{i}" for i in range(99)]
        if len(names) < len(targets):
            raise MeshFileError(f"expected {len(targets)} names of morph targets, got {len(names)}")
        return {
            name: self.accessor(target["POSITION"]) @ world[:3, :3].T
            for name, target in zip(names, targets, strict=False)
            if "POSITION" in target
        }

    def accessor(self, index: int) -> Floats:
        """Return (count, components) of an accessor, which may be strided, normalised or sparse."""
        accessor = self._json["accessors"][index]
        kind, count = accessor["componentType"], accessor["count"]
        width = _COUNTS[accessor["type"]]
        values = np.zeros((count, width))
        if "bufferView" in accessor:
            values = self._view(
                accessor["bufferView"], accessor.get("byteOffset", 0), kind, count, width
            )
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            where, what = sparse["indices"], sparse["values"]
            rows = self._view(
                where["bufferView"], where.get("byteOffset", 0), where["componentType"],
                sparse["count"], 1,
            ).astype(np.int64)[:, 0]  # fmt: skip
            values[rows] = self._view(
                what["bufferView"], what.get("byteOffset", 0), kind, sparse["count"], width
            )
        if accessor.get("normalized"):
            limit = np.iinfo(np.dtype(_COMPONENTS[kind])).max
            values = np.maximum(values / limit, -1)
        return values

    def _view(self, index: int, offset: int, kind: int, count: int, width: int) -> Floats:
        view = self._json["bufferViews"][index]
        if view.get("buffer", 0) != 0 or "uri" in self._json["buffers"][0]:
            raise MeshFileError("it refers to other files: save everything into one GLB")
        item = np.dtype(_COMPONENTS[kind])
        start = view.get("byteOffset", 0) + offset
        stride = view.get("byteStride", item.itemsize * width)
        end = view.get("byteOffset", 0) + view["byteLength"]
        # Checked here: np.ndarray would read past the end of the view, into other data.
        if start + stride * (count - 1) + item.itemsize * width > min(end, len(self._binary)):
            raise MeshFileError(f"buffer view {index} is shorter than what is read from it")
        array: NDArray[Any] = np.ndarray(
            (count, width), item, self._binary, start, (stride, item.itemsize)
        )
        return array.astype(np.float64)

    def _image(self, texture: dict[str, Any] | None) -> NDArray[np.uint8] | None:
        """Return a material's base colour image; None where it lies outside of the file."""
        if texture is None or texture.get("texCoord", 0) != 0:
            return None
        source = self._json["images"][self._json["textures"][texture["index"]]["source"]]
        if "bufferView" not in source:
            return None
        view = self._json["bufferViews"][source["bufferView"]]
        start = view.get("byteOffset", 0)
        with Image.open(io.BytesIO(self._binary[start : start + view["byteLength"]])) as file:
            return np.array(file.convert("RGB"))


def _matrix(node: dict[str, Any]) -> Floats:
    """Return the local transform (4, 4) of a node."""
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T
    matrix = np.eye(4)
    turn = quaternion_to_matrix(np.array(node.get("rotation", (0, 0, 0, 1)), np.float32))
    matrix[:3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), float)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _triangles(indices: Ints, mode: int) -> Ints:
    """Return the triangles (f, 3) of a list, a strip or a fan."""
    if mode == _TRIANGLES:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    if mode == _FAN:
        first = np.full(len(indices) - 2, indices[0])
        return np.stack([first, indices[1:-1], indices[2:]], axis=1)
    strip = np.stack([indices[:-2], indices[1:-1], indices[2:]], axis=1)
    strip[1::2] = strip[1::2, ::-1]
    return strip
