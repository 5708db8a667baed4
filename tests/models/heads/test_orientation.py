"""Heads in another orientation are rotated upright and forwards before they are measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.contract.arkit import arkit_name
from models.heads.imported import import_head
from models.heads.mesh_files import read_mesh
from models.heads.meshes import Mesh
from models.heads.orientation import turn_upright
from tests.scripts.conftest import ROOT
from tests.scripts.mesh_files import write_face_obj, write_head_glb

MESHES = ROOT.parent / "shared" / "data" / "meshes"
X, Y, Z = np.eye(3)
Pose = tuple[str, str, NDArray[np.float64], NDArray[np.float64]]
POSES: list[Pose] = [
    ("+Y", "-Z", Y, -Z),
    ("+Z", "-Y", Z, -Y),
    ("+Z", "+Y", Z, Y),
    ("-Y", "+Z", -Y, Z),
    ("+Y", "+X", Y, X),
    ("-X", "+Z", -X, Z),
]
"""Names of the up and the front axis, and both as vectors."""


def posed(mesh: Mesh, up: NDArray[np.float64], front: NDArray[np.float64]) -> Mesh:
    """Return an upright mesh with its top along `up` and its face along `front`."""
    rotation = np.stack([np.cross(up, front), up, front])
    return replace(
        mesh,
        verts=mesh.verts @ rotation,
        deltas={name: (delta @ rotation).astype(np.float32) for name, delta in mesh.deltas.items()},
    )


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    path = tmp_path_factory.mktemp("mesh") / "head.glb"
    write_head_glb(path)
    mesh = read_mesh(path)
    named = {arkit_name(name): delta for name, delta in mesh.deltas.items()}
    return replace(mesh, deltas={name: delta for name, delta in named.items() if name})


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    path = tmp_path_factory.mktemp("mesh") / "face.obj"
    write_face_obj(path)
    return read_mesh(path)


def assert_turned(mesh: Mesh, pose: Pose) -> None:
    up_name, front_name, up, front = pose
    turned, note = turn_upright(posed(mesh, up, front))
    assert note == f"turned the head: it had {up_name} up and faced {front_name}"
    np.testing.assert_allclose(turned.verts, mesh.verts, atol=1e-9)
    for name, delta in mesh.deltas.items():
        np.testing.assert_allclose(turned.deltas[name], delta, atol=1e-6)


@pytest.mark.parametrize("pose", POSES)
def test_the_orientation_is_found_from_expressions_and_eyes(head: Mesh, pose: Pose) -> None:
    assert_turned(head, pose)


@pytest.mark.parametrize("pose", POSES)
def test_the_orientation_is_found_from_expressions_only(head: Mesh, pose: Pose) -> None:
    brow = np.zeros_like(head.deltas["jawOpen"])
    brow[(head.verts[:, 1] > 3) & (head.verts[:, 2] > 6)] = [0, 1, 0]
    unnamed = ["head"] * len(head.part_names)
    deltas = {"browInnerUp": brow, "jawOpen": head.deltas["jawOpen"]}
    assert_turned(replace(head, part_names=unnamed, deltas=deltas), pose)


@pytest.mark.parametrize("pose", POSES)
def test_the_orientation_is_found_from_the_holes_of_eyes_and_mouth(mask: Mesh, pose: Pose) -> None:
    assert_turned(mask, pose)


@pytest.mark.parametrize("pose", POSES[:2])
def test_usual_orientations_are_found_from_named_eyes_only(head: Mesh, pose: Pose) -> None:
    assert_turned(replace(head, deltas={}), pose)


def test_an_upright_head_is_not_rotated(head: Mesh, mask: Mesh) -> None:
    for mesh in (head, mask, replace(head, deltas={})):
        turned, note = turn_upright(mesh)
        assert note is None
        assert turned is mesh


def test_a_mesh_without_clues_is_not_rotated(head: Mesh) -> None:
    bare = replace(head, deltas={}, part_names=["part"] * len(head.part_names))
    assert turn_upright(bare) == (bare, None)
    flat = replace(bare, verts=np.zeros_like(bare.verts))
    assert turn_upright(flat) == (flat, None)


@pytest.mark.parametrize("name", ["ict_face_arkit51.glb", "canonical_face_model.obj"])
@pytest.mark.parametrize("pose", POSES)
def test_real_meshes_are_rotated_upright(name: str, pose: Pose) -> None:
    if not (MESHES / name).exists():
        pytest.skip(f"needs {MESHES / name}")
    mesh = read_mesh(MESHES / name)
    assert turn_upright(mesh)[1] is None
    assert_turned(mesh, pose)


def test_the_import_reports_the_rotation_of_the_head(tmp_path: Path) -> None:
    write_face_obj(tmp_path / "face.obj")
    words = [row.split() for row in (tmp_path / "face.obj").read_text().splitlines()]
    for w in words:
        if w[0] == "v":  # x, y and z become x, -z and y
            w[2:4] = [str(-float(w[3])), w[2]]
    (tmp_path / "lying.obj").write_text("\n".join(" ".join(w) for w in words))
    notes: list[str] = []
    arrays = import_head(tmp_path / "lying.obj", notes.append)
    assert notes == ["turned the head: it had +Z up and faced -Y"]
    # The mask is 15 cm wide, 18 cm high and 8 cm deep, with eyes at (3, 2.5).
    np.testing.assert_allclose(np.ptp(arrays["neutral"], axis=0), [0.15, 0.18, 0.08], atol=1e-6)
    assert arrays["joint_positions"][3, 0] == pytest.approx(0.03, abs=1e-3)
    assert arrays["neutral"][:, 1].max() == pytest.approx(0.065, abs=1e-3)
