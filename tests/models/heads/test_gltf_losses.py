"""Unused features of glTF and OBJ files are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.heads.glb import read_glb
from models.heads.gltf_file import MeshFileError
from models.heads.mesh_files import read_mesh
from tests.models.heads.gltf_files import (
    CORNERS,
    POSITIONS,
    TRIANGLE,
    UVS,
    Json,
    glb,
    textured,
    write_triangle,
)

PRIMITIVE: Json = {"attributes": {"POSITION": 0}}

MATERIAL: Json = {"name": "skin"}


@pytest.mark.parametrize(
    ("parts", "note"),
    [
        ({"animations": [{}]}, "animations"),
        ({"meshes": [{"primitives": [PRIMITIVE | {"targets": [{"NORMAL": 0}]}]}]},
         "morph targets without positions (target0)"),
        ({"meshes": [{"primitives": [{"attributes": {"POSITION": 0, "JOINTS_4": 0}}]}]},
         "joints of a vertex after the first 16"),
        ({"nodes": [{"mesh": 0}, {"mesh": 0}], "scenes": [{"nodes": [0]}]},
         "nodes outside of the scene (node 1)"),
        ({"nodes": [{"mesh": 0}, {"name": "hat", "mesh": 0,
                     "extensions": {"KHR_node_visibility": {"visible": False}}}]},
         "hidden nodes (hat)"),
        ({"meshes": [{"primitives": [PRIMITIVE, PRIMITIVE | {"mode": 1}], "name": "wire"}]},
         "points and lines (wire)"),
        ({"nodes": [{"mesh": 0, "name": "a", "weights": [0.5]}]},
         "the weights of morph targets at rest (a)"),
        ({"nodes": [{"mesh": 0}, {"mesh": 0, "scale": [0, 0, 0]}]}, "hidden nodes (node 1)"),
        ({"materials": [MATERIAL | {"normalTexture": {"index": 0}}]}, "normalTexture (skin)"),
        ({"materials": [{"pbrMetallicRoughness": {"metallicRoughnessTexture": {"index": 0}}}]},
         "metallicRoughnessTexture"),
        ({"materials": [MATERIAL | {"alphaMode": "BLEND"}]}, "transparency (skin)"),
        ({"materials": [MATERIAL | {"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}}]},
         "factors of the base colour (skin)"),
        ({"meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 0}}]}]},
         "colours of vertices"),
        ({"materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]},
         "a texture whose coordinates, TEXCOORD_0, are missing"),
    ],
)  # fmt: skip
def test_unused_features_are_reported(tmp_path: Path, parts: dict[str, Any], note: str) -> None:
    if "materials" in parts:
        parts["meshes"] = [{"primitives": [PRIMITIVE | {"material": 0}]}]
    notes: list[str] = []
    (part,) = read_glb(write_triangle(tmp_path / "f.glb", **parts), notes.append)
    assert notes == [f"not used: {note}"]
    np.testing.assert_array_equal(part.verts, CORNERS)


def test_corners_that_form_no_whole_triangle_are_reported(tmp_path: Path) -> None:
    notes: list[str] = []
    accessors = [POSITIONS | {"count": 5}]
    binary = TRIANGLE + bytes(24)
    (part,) = read_glb(
        write_triangle(tmp_path / "f.glb", binary, accessors=accessors), notes.append
    )
    assert part.faces.tolist() == [[0, 1, 2]]
    assert notes == ["not used: corners that form no whole triangle"]


def test_a_texture_in_another_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "f.glb"
    document = textured({}, textures=[{"source": 0}], images=[{"uri": "a.png"}])
    document["bufferViews"] = [{"byteLength": 36}, {"byteOffset": 36, "byteLength": len(UVS)}]
    path.write_bytes(glb(document, TRIANGLE + UVS))
    assert read_mesh(path).notes == ["not used: a texture without an image in the file"]


def test_unused_rows_of_obj_files_are_reported(tmp_path: Path) -> None:
    text = "mtllib a.mtl\nv 0 0 0 1 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nl 1 2\nf 1/1 2 3\n"
    (tmp_path / "f.obj").write_text(text)
    assert read_mesh(tmp_path / "f.obj").notes == [
        "not used: materials and textures of another file (save it as a GLB file to keep them)",
        "not used: colours of vertices",
        "not used: points and lines",
        "not used: texture coordinates: some corners have no valid one",
    ]


def test_numbers_of_obj_files_with_underscores_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.obj").write_text("v 1_0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(MeshFileError, match="v has numbers with _"):
        read_mesh(tmp_path / "f.obj")


def test_comments_in_rows_of_obj_files_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "f.obj").write_text("v 0 0 0 # a b\nv 1 0 0\nv 0 1 0\nf 1 2 3 # 4\n")
    mesh = read_mesh(tmp_path / "f.obj")
    assert mesh.faces.tolist() == [[0, 1, 2]]
    assert mesh.notes == []
