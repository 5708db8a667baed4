"""Reads a glTF file's triangles, texture coordinates, morph targets and base colour images.

trimesh drops morph targets, and other readers leave it to the caller to decode accessors. The
subset of glTF 2.0 (khronos.org/gltf) that a head needs is small enough to be read here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.contract.shown_text import reason, shown
from models.heads.gltf_accessors import Accessors
from models.heads.gltf_file import GltfFile, MeshFileError, not_supported, read_gltf_file, whole
from models.heads.gltf_images import Images
from models.heads.gltf_losses import Losses
from models.heads.gltf_nodes import Nodes
from models.heads.meshes import Floats, Ints

_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_SUPPORTED = frozenset(
    {
        *("KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp"),
        *("KHR_node_visibility", "KHR_lights_punctual", "KHR_animation_pointer", "KHR_xmp_json_ld"),
    }
)
"""Extensions that a file may require, beside those of materials, which do not change a shape."""
_DRACO, _INSTANCES = "KHR_draco_mesh_compression", "EXT_mesh_gpu_instancing"
_OLD_PAINT = "KHR_materials_pbrSpecularGlossiness"
MAX_VERTS, MAX_TRIANGLES = 250_000, 500_000
"""Limits of a mesh, in any format. Detailed scans have 100 000 vertices."""
_JOINT_SETS = 4
"""Sets of four joints that a vertex follows; exporters write one or two."""
_NO_JOINT = "expected the joints of a skin, got none"
_MAX_PARTS = 2000
"""Primitives, each as often as the scene shows it. Heads have up to some hundreds."""
_MAX_COORDINATE = 1e6
"""Largest coordinate in any unit: beyond it, float32 cannot distinguish vertices."""


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
    deltas: dict[str, FloatArray] = field(default_factory=dict)  # (n, 3) by name
    image: NDArray[np.uint8] | None = None
    """(h, w, 3) sRGB base colour texture."""


def _ignore(note: str) -> None:
    pass


def read_glb(path: Path, report: Callable[[str], None] = _ignore) -> list[Primitive]:
    """Read all triangles of a file's scene.

    Args:
        path: A `.glb` file, or a `.gltf` file whose buffers and images are inside it or its folder.
        report: Called with one line for each part of the file that is not used.

    Raises:
        MeshFileError: If the file is no glTF 2.0 file, is broken, needs an extension that is not
            supported, is too large, or holds no triangles.
    """
    try:
        with np.errstate(all="ignore"):  # values that are not finite are refused below
            scene = _Scene(read_gltf_file(path))
            primitives = scene.primitives()
    except MeshFileError as exc:
        raise MeshFileError(f"{path}: {exc}") from exc
    except OSError as exc:
        raise MeshFileError(f"{path} is not a readable GLB file: {exc.strerror}") from exc
    except KeyError as exc:
        raise MeshFileError(f"{path} is not a readable GLB file: it lacks {reason(exc)}") from exc
    except IndexError as exc:
        raise MeshFileError(
            f"{path} is not a readable GLB file: it refers to what it does not hold"
        ) from exc
    except Exception as exc:  # the file may have any JSON value where an object is expected
        raise MeshFileError(
            f"{path} is not a readable GLB file: its JSON is not glTF's: {reason(exc)}"
        ) from exc
    if not primitives:
        raise MeshFileError(f"{path} holds no triangles")
    for note in scene.losses.notes():
        report(note)
    return primitives


class _Scene:
    def __init__(self, file: GltfFile) -> None:
        self._file, self.losses = file, Losses()
        self._accessors, self._images = Accessors(file), Images(file)
        self._verts_left, self._triangles_left = MAX_VERTS, MAX_TRIANGLES
        version = str(dict(file.document.get("asset") or {}).get("version", "2.0"))
        if not version.startswith("2."):
            raise MeshFileError(f"expected glTF 2.0, got version {shown(version)}")
        required = file.document.get("extensionsRequired") or ()
        for name in [required] if isinstance(required, str) else required:
            if name not in _SUPPORTED and not str(name).startswith("KHR_materials_"):
                raise not_supported(name)

    def primitives(self) -> list[Primitive]:
        """Return all triangles of the scene, in world space."""
        nodes = Nodes(self._file)
        self._worlds, hidden = nodes.worlds, set(nodes.hidden)
        if self._file.document.get("animations"):
            self.losses.add("animations")
        for index in nodes.outside:
            self.losses.add("nodes outside of the scene", f"node {index}")
        found: list[Primitive] = []
        for index in self._worlds:
            node = self._file.item("nodes", index)
            if "mesh" not in node:
                continue
            mesh = self._file.item("meshes", node["mesh"])
            name = str(node.get("name") or mesh.get("name") or f"node {index}")
            if index in hidden:
                self.losses.add("hidden nodes", name)
                continue
            self._check_node(node, mesh, name)
            for given in mesh["primitives"]:
                if self._has_triangles(given, name):
                    found.append(self._primitive(node, index, mesh, given))
                if len(found) > _MAX_PARTS:
                    raise MeshFileError(f"expected at most {_MAX_PARTS} parts: join them")
        return [primitive for primitive in found if len(primitive.faces)]

    def _check_node(self, node: dict[str, Any], mesh: dict[str, Any], name: str) -> None:
        if _INSTANCES in (node.get("extensions") or ()):
            raise not_supported(_INSTANCES)
        if any(node.get("weights") or mesh.get("weights") or ()):
            self.losses.add("the weights of morph targets at rest", name)

    def _has_triangles(self, given: dict[str, Any], name: str) -> bool:
        mode = whole(given.get("mode", _TRIANGLES), f"mode of {shown(name)}")
        if mode > _FAN:
            raise MeshFileError(f"mode of {shown(name)}: expected 0..{_FAN}, got {mode}")
        if mode < _TRIANGLES:
            self.losses.add("points and lines", name)
        return mode >= _TRIANGLES

    def _primitive(
        self, node: dict[str, Any], index: int, mesh: dict[str, Any], given: dict[str, Any]
    ) -> Primitive:
        attributes = given["attributes"]
        # A file that does not require Draco has its arrays uncompressed beside it.
        if _DRACO in (given.get("extensions") or ()) and (
            self._file.item("accessors", attributes["POSITION"]).get("bufferView") is None
        ):
            raise not_supported(_DRACO)
        verts = self._positions(attributes["POSITION"])
        if "skin" in node and "JOINTS_0" in attributes:
            skin = self._file.item("skins", node["skin"])
            transforms = self._skin(skin, attributes, len(verts))
        else:
            transforms = np.broadcast_to(self._worlds[index], (len(verts), 4, 4))
        faces = self._faces(given, len(verts))
        # A mirroring transform reverses the winding.
        if len(verts) and np.linalg.det(transforms[0, :3, :3]) < 0:
            faces = faces[:, ::-1]
        material = self._file.item("materials", given["material"]) if "material" in given else {}
        names = (material.get("name"), mesh.get("name"), node.get("name"))
        name = " ".join(str(name) for name in names if name)
        self.losses.add_material(material, attributes, name)
        if f"JOINTS_{_JOINT_SETS}" in attributes:
            self.losses.add(f"joints of a vertex after the first {4 * _JOINT_SETS}", name)
        placed = _turned(transforms, verts) + transforms[:, :3, 3]
        _check_within(placed, "vertices")
        uvs, image = self._painted(attributes, _texture(material), len(verts), name)
        return Primitive(
            name=name,
            verts=placed,
            faces=faces,
            uvs=uvs,
            deltas=self._deltas(mesh, given, transforms),
            material=whole(given["material"], "material") if "material" in given else -1,
            image=image,
        )

    def _positions(self, index: int) -> Floats:
        rows = self._accessors.count(index)
        self._verts_left -= rows
        if self._verts_left < 0:
            raise MeshFileError(f"expected at most {MAX_VERTS} vertices: reduce the mesh")
        return self._accessors.vectors(index, 3, rows)

    def _faces(self, given: dict[str, Any], verts: int) -> Ints:
        """Return the triangles (f, 3) of a primitive."""
        corners = self._accessors.count(given["indices"]) if "indices" in given else verts
        mode = given.get("mode", _TRIANGLES)
        self._triangles_left -= corners // 3 if mode == _TRIANGLES else corners
        if self._triangles_left < 0:
            raise MeshFileError(f"expected at most {MAX_TRIANGLES} triangles: reduce the mesh")
        if mode == _TRIANGLES and corners % 3:
            self.losses.add("corners that form no whole triangle")
        if "indices" in given:
            return _triangles(self._accessors.indices(given["indices"], verts), mode)
        return _triangles(np.arange(verts), mode)

    def _painted(
        self,
        attributes: dict[str, int],
        texture: dict[str, Any] | None,
        verts: int,
        name: str,
    ) -> tuple[Floats | None, NDArray[np.uint8] | None]:
        """Return the texture coordinates (n, 2) and the image of a primitive; None without one."""
        change = ((texture or {}).get("extensions") or {}).get("KHR_texture_transform") or {}
        number = change.get("texCoord", (texture or {}).get("texCoord", 0))
        layout = f"TEXCOORD_{whole(number, 'texCoord of a texture')}"
        if layout not in attributes:
            if texture is not None:
                self.losses.add(f"a texture whose coordinates, {layout}, are missing", name)
            texture, change, layout = None, {}, "TEXCOORD_0"
        if layout not in attributes:
            return None, None
        uvs = _changed(self._accessors.vectors(attributes[layout], 2, verts), change)
        _check_within(uvs, "texture coordinates")
        image = None if texture is None else self._images.of(texture)
        if texture is not None and image is None:
            self.losses.add("a texture without an image in the file", name)
        return uvs, image

    def _skin(self, skin: dict[str, Any], attributes: dict[str, int], verts: int) -> Floats:
        """Return the transform (n, 4, 4) of each vertex to the world, by joints at rest."""
        given = [whole(joint, "number of a joint") for joint in skin["joints"] or ()]
        missing = [joint for joint in given if joint not in self._worlds]
        if missing or not given:
            raise MeshFileError(f"joint {missing[0]} is not in the scene" if missing else _NO_JOINT)
        joints = np.stack([self._worlds[joint] for joint in given])
        if "inverseBindMatrices" in skin:
            bound = self._accessors.values(skin["inverseBindMatrices"]).reshape(-1, 4, 4)
            if len(bound) < len(joints):
                raise MeshFileError(f"expected {len(joints)} matrices of a skin, got {len(bound)}")
            joints = joints @ bound[: len(joints)].transpose(0, 2, 1)
        transforms, total = np.zeros((verts, 4, 4)), np.zeros(verts)
        for number in range(_JOINT_SETS):
            if f"JOINTS_{number}" not in attributes:
                break
            which = self._accessors.vectors(attributes[f"JOINTS_{number}"], 4, verts)
            weights = self._accessors.vectors(attributes[f"WEIGHTS_{number}"], 4, verts)
            which[weights == 0] = 0  # some exporters leave any number there
            if which.size and not 0 <= which.min() <= which.max() < len(joints):
                raise MeshFileError(f"joints of vertices must be below {len(joints)}")
            for column in range(4):
                own = joints[which[:, column].astype(np.int64)]
                transforms += own * weights[:, column, None, None]
            total += weights.sum(axis=1)
        if not (total > 0).all():
            raise MeshFileError("expected every vertex of a skin to follow a joint")
        return transforms / total[:, None, None]

    def _deltas(
        self, mesh: dict[str, Any], given: dict[str, Any], transforms: Floats
    ) -> dict[str, FloatArray]:
        targets = given.get("targets") or []
        if not isinstance(targets, list) or not all(isinstance(t, dict) for t in targets):
            raise MeshFileError(f"expected a list of morph targets, got {shown(targets)}")
        deltas: dict[str, FloatArray] = {}
        for name, target in zip(self._target_names(mesh, given, targets), targets, strict=True):
            if "POSITION" not in target:
                self.losses.add("morph targets without positions", name)
            else:
                if name in deltas:
                    name = f"{name} ({len(deltas)})"  # the first of a name is used
                delta = self._accessors.vectors(target["POSITION"], 3, len(transforms))
                moved = _turned(transforms, delta)
                _check_within(moved, "morph targets")
                deltas[name] = moved.astype(np.float32)
        return deltas

    def _target_names(
        self, mesh: dict[str, Any], given: dict[str, Any], targets: list[dict[str, int]]
    ) -> list[str]:
        """Return the names of morph targets: of the mesh, of the primitive or of accessors."""
        found: list[Any] = []
        for owner in (mesh, given):
            names = _extra(owner, "targetNames")
            if names and not (isinstance(names, list) and len(names) >= len(targets)):
                count = len(names) if isinstance(names, list) else 0
                raise MeshFileError(f"expected {len(targets)} names of morph targets, got {count}")
            found = found or list(names or ())[: len(targets)]
        found = found or [None] * len(targets)
        return [
            (name if isinstance(name, str) and name.strip() else None)
            or self._own_name(target)
            or f"target{index}"
            for index, (name, target) in enumerate(zip(found, targets, strict=True))
        ]

    def _own_name(self, target: dict[str, Any]) -> str | None:
        """Return the name that a morph target, or its accessor, has itself; None without one."""
        name = _extra(target, "name")
        if isinstance(name, str) and name.strip():
            return name
        return self._accessors.name(target["POSITION"]) if "POSITION" in target else None


def _extra(owner: dict[str, Any], name: str) -> Any:
    """Return a member of the extras, which may be JSON of any kind, or None."""
    extras = owner.get("extras")
    return extras.get(name) if isinstance(extras, dict) else None


def _texture(material: dict[str, Any]) -> dict[str, Any] | None:
    """Return the base colour texture of a material, in the present form or that before 2021."""
    texture = (material.get("pbrMetallicRoughness") or {}).get("baseColorTexture")
    old = (material.get("extensions") or {}).get(_OLD_PAINT) or {}
    found: dict[str, Any] | None = texture or old.get("diffuseTexture")
    return found


def _check_within(values: Floats, what: str) -> None:
    """Refuse numbers whose squares may overflow, and NaN."""
    if not (np.abs(values) < _MAX_COORDINATE).all():
        raise MeshFileError(f"expected {what} within {_MAX_COORDINATE:g} units")


def _changed(uvs: Floats, change: dict[str, Any]) -> Floats:
    """Return texture coordinates after KHR_texture_transform."""
    if not change:
        return uvs
    angle = float(change.get("rotation", 0))
    cos, sin = np.cos(angle), np.sin(angle)
    scaled = uvs * np.array(change.get("scale", (1, 1)), float)
    turned = scaled @ np.array([[cos, sin], [-sin, cos]]).T
    return np.asarray(turned + np.array(change.get("offset", (0, 0)), float))


def _turned(transforms: Floats, vectors: Floats) -> Floats:
    """Return vectors (n, 3) turned by a transform (n, 4, 4) each."""
    return np.asarray(np.einsum("nij,nj->ni", transforms[:, :3, :3], vectors))


def _triangles(indices: Ints, mode: int) -> Ints:
    """Return the triangles (f, 3) of a list, a strip or a fan."""
    if mode == _TRIANGLES:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    if len(indices) < 3:
        return np.zeros((0, 3), np.int64)
    if mode == _FAN:
        first = np.full(len(indices) - 2, indices[0])
        return np.stack([first, indices[1:-1], indices[2:]], axis=1)
    strip = np.stack([indices[:-2], indices[1:-1], indices[2:]], axis=1)
    strip[1::2] = strip[1::2, ::-1]
    return strip
