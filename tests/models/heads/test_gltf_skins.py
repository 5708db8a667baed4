"""Skins of glTF files: vertices are placed by their joints at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.heads.gltf_file import MeshFileError
from tests.models.heads.gltf_files import CORNERS, POSITIONS, TRIANGLE, Json, read, triangle


def skinned(**skin: Any) -> Json:
    """Return a triangle on two joints; the transform of its own node is to be ignored."""
    attributes = {"POSITION": 0, "JOINTS_0": 1, "WEIGHTS_0": 2}
    targets = [{"POSITION": 0}]
    return triangle(
        scene=0,
        scenes=[{"nodes": [0, 1]}],
        nodes=[
            {"mesh": 0, "skin": 0, "translation": [100, 0, 0]},
            {"children": [2], "translation": [0, 1, 0]},
            {"translation": [0, 2, 0], "rotation": [0, 0, 0.5**0.5, 0.5**0.5]},
        ],
        skins=[{"joints": [1, 2], **skin}],
        meshes=[{"primitives": [{"attributes": attributes, "targets": targets}]}],
        accessors=[
            POSITIONS,
            {"bufferView": 1, "componentType": 5121, "count": 3, "type": "VEC4"},
            {"bufferView": 2, "componentType": 5126, "count": 3, "type": "VEC4"},
            {"bufferView": 3, "componentType": 5126, "count": 2, "type": "MAT4"},
        ],
    )


JOINTS = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], "u1").tobytes()
WEIGHTS = np.array([[1, 0, 0, 0], [2, 0, 0, 0], [0.5, 0.5, 0, 0]], "<f4").tobytes()
BIND = [np.eye(4), np.eye(4)]
BIND[0][:3, 3], BIND[1][:3, 3] = [0, 0, -1], [0, 0, 7]
MATRICES = np.stack([matrix.T for matrix in BIND]).astype("<f4").tobytes()


def test_a_skinned_mesh_is_placed_by_its_joints(tmp_path: Path) -> None:
    bound = skinned(inverseBindMatrices=3)
    part = read(tmp_path / "f.glb", bound, TRIANGLE, JOINTS, WEIGHTS, MATRICES)
    # The root is 1 above the origin; its child 2 above that, turned by 90 degrees about z.
    root, turned = np.array([0, 1, -1]), np.array([0, 3, 7])
    x, y, _ = np.eye(3)
    halfway = (y + root + turned - x) / 2
    # (1, 0, 0) is turned to (0, 1, 0).
    np.testing.assert_allclose(part.verts, [CORNERS[0] + root, y + turned, halfway], atol=1e-6)
    np.testing.assert_allclose(part.deltas["target0"][1], [0, 1, 0], atol=1e-6)
    unbound = read(tmp_path / "f.glb", skinned(), TRIANGLE, JOINTS, WEIGHTS, MATRICES)
    np.testing.assert_allclose(unbound.verts[0], [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("joints", [[], None])
def test_a_skin_without_joints_is_refused(tmp_path: Path, joints: Any) -> None:
    document = skinned(joints=joints)
    with pytest.raises(MeshFileError, match="expected the joints of a skin, got none"):
        read(tmp_path / "f.glb", document, TRIANGLE, JOINTS, WEIGHTS, MATRICES)


def test_joints_of_weight_zero_may_have_any_number(tmp_path: Path) -> None:
    joints = np.frombuffer(JOINTS, "u1").reshape(3, 4).copy()
    joints[np.frombuffer(WEIGHTS, "<f4").reshape(3, 4) == 0] = 200
    parts = [
        read(tmp_path / "f.glb", skinned(), TRIANGLE, given.tobytes(), WEIGHTS, MATRICES)
        for given in (joints, np.frombuffer(JOINTS, "u1"))
    ]
    np.testing.assert_array_equal(parts[0].verts, parts[1].verts)


def test_all_eight_joints_of_a_vertex_are_used(tmp_path: Path) -> None:
    document = skinned()
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    attributes |= {"JOINTS_1": 4, "WEIGHTS_1": 5}
    document["accessors"] += [
        {"bufferView": 4, "componentType": 5121, "count": 3, "type": "VEC4"},
        {"bufferView": 5, "componentType": 5126, "count": 3, "type": "VEC4"},
    ]
    others = np.array([[1, 0, 0, 0]] * 3, "u1").tobytes()
    weights = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], "<f4").tobytes()
    part = read(tmp_path / "f.glb", document, TRIANGLE, JOINTS, WEIGHTS, MATRICES, others, weights)
    np.testing.assert_allclose(part.verts[0], [0, 2, 0], atol=1e-6)  # between 1 and 3


def test_a_quantized_mesh_is_scaled_by_its_skin(tmp_path: Path) -> None:
    document = skinned(inverseBindMatrices=3)
    document["accessors"][0] = POSITIONS | {"componentType": 5122, "normalized": True}
    scale = np.diag([0.25, 0.25, 0.25, 1])
    matrices = np.stack([scale.T, scale.T]).astype("<f4").tobytes()
    packed = np.array([[0, 0, 0], [32767, 0, 0], [0, 32767, 0]], "<i2").tobytes()
    part = read(tmp_path / "f.glb", document, packed, JOINTS, WEIGHTS, matrices)
    expected = np.array([[0, 1, 0], [0, 3.25, 0]])
    np.testing.assert_allclose(part.verts[:2], expected, atol=1e-6)
