"""Computes the world transforms of the nodes of a glTF file's scene."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.contract.shown_text import shown
from models.geometry.camera import quaternion_to_matrix
from models.heads.gltf_file import GltfFile, MeshFileError, whole
from models.heads.meshes import Floats

_MAX_NODES = 20_000


class Nodes:
    """The nodes of a file's scene.

    Args:
        file: The file.

    Raises:
        MeshFileError: If they form no tree, or one has no valid transform.
    """

    def __init__(self, file: GltfFile) -> None:
        self._file = file
        self.worlds: dict[int, Floats] = {}
        """World transforms (4, 4) by node index, parents before their children."""
        self.hidden: list[int] = []
        """Nodes hidden by KHR_node_visibility or a scale of zero, and their descendants; skins may
        still refer to them as joints."""
        self._compute_worlds()

    @property
    def outside(self) -> list[int]:
        """Nodes with a mesh that are not in the scene."""
        nodes = self._file.document.get("nodes") or []
        return [i for i, node in enumerate(nodes) if i not in self.worlds and "mesh" in node]

    def _compute_worlds(self) -> None:
        waiting = [(index, np.eye(4), False) for index in reversed(self._roots())]
        while waiting:
            given, parent, hidden = waiting.pop()
            node, index = self._file.item("nodes", given), whole(given, "number of a node")
            # Nodes must form a tree: in other graphs a mesh could occur 2^depth times, or the walk
            # never end.
            if index in self.worlds:
                raise MeshFileError(f"expected a tree of nodes, got node {index} twice")
            self.worlds[index] = parent @ _matrix(node, index)
            hidden = hidden or _is_hidden(node, self.worlds[index])
            if hidden:
                self.hidden.append(index)
            below = reversed(node.get("children") or ())
            waiting += [(child, self.worlds[index], hidden) for child in below]

    def _roots(self) -> list[Any]:
        document = self._file.document
        nodes = document.get("nodes") or []
        if len(nodes) > _MAX_NODES:
            raise MeshFileError(f"expected at most {_MAX_NODES} nodes, got {len(nodes)}")
        if document.get("scenes"):
            roots = list(self._file.item("scenes", document.get("scene", 0)).get("nodes") or [])
        else:
            children = {child for node in nodes for child in node.get("children") or ()}
            roots = [index for index in range(len(nodes)) if index not in children]
        if nodes and not roots:
            raise MeshFileError("expected a tree of nodes, got none at its root")
        return roots


def _is_hidden(node: dict[str, Any], world: Floats) -> bool:
    visibility = dict(node.get("extensions") or {}).get("KHR_node_visibility")
    if isinstance(visibility, dict) and visibility.get("visible") is False:
        return True
    return "skin" not in node and not world[:3, :3].any()  # animators hide parts by their scale


def _matrix(node: dict[str, Any], index: int) -> Floats:
    """Return the local transform (4, 4) of a node."""
    if node.get("matrix") is not None:
        return _numbers(node["matrix"], 16, f"matrix of node {index}").reshape(4, 4).T
    parts = (("rotation", (0, 0, 0, 1)), ("scale", (1, 1, 1)), ("translation", (0, 0, 0)))
    rotation, scale, translation = (
        _numbers(
            default if node.get(name) is None else node[name],
            len(default),
            f"{name} of node {index}",
        )
        for name, default in parts
    )
    if not rotation.any():
        raise MeshFileError(f"rotation of node {index}: expected a quaternion, got zeros")
    matrix = np.eye(4)
    matrix[:3, :3] = quaternion_to_matrix(rotation.astype(np.float32)) * scale
    matrix[:3, 3] = translation
    return matrix


def _numbers(value: Any, count: int, name: str) -> Floats:
    """Return (count,) finite numbers of the document."""
    try:
        numbers = np.array(value, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        numbers = np.zeros(0)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise MeshFileError(f"{name}: expected {count} finite numbers, got {shown(value)}")
    return numbers
