"""FLAME files are read without running code, and posed as in FLAME's paper."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.contract.frame_state import neutral_state
from models.geometry.flame import (
    COEFFICIENT_NAMES,
    TextureSpace,
    flame_head,
    load_flame,
    load_texture_space,
)
from models.geometry.head import Head, HeadError
from models.geometry.head_file import load_head
from models.geometry.plain_pickle import PickleError, read_plain_pickle
from tests.models.flame_file import flame_arrays, write_flame_npz, write_flame_pickle

Doubles = NDArray[np.float64]


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    write_flame_npz(tmp_path / "flame.npz")
    return tmp_path / "flame.npz"


def load(arrays: dict[str, NDArray[Any]], path: Path) -> Head:
    np.savez(path, allow_pickle=False, **arrays)
    return load_head(path)


def rotation(vector: Doubles) -> Doubles:
    """Return the matrix of a rotation vector, by Rodrigues' formula."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: Doubles = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turned


def flame(shape: Doubles, expression: Doubles, turn: Doubles, jaw: Doubles) -> Doubles:
    """Return FLAME's vertices by a chain of 4x4 transforms, with neck and eyes at rest."""
    given = flame_arrays()
    shaped = given["v_template"] + given["shapedirs"][..., : len(shape)] @ shape
    shaped = shaped + given["shapedirs"][..., 300:350] @ expression
    joints = given["J_regressor"] @ shaped
    turns = [rotation(turn), np.eye(3), rotation(jaw), np.eye(3), np.eye(3)]
    feature = (np.stack(turns[1:]) - np.eye(3)).reshape(-1)
    posed = shaped + given["posedirs"] @ feature
    world: list[Doubles] = []
    for joint, parent in enumerate((-1, 0, 1, 1, 1)):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    for joint, matrix in enumerate(world):
        matrix[:3, 3] -= matrix[:3, :3] @ joints[joint]
    blended = np.einsum("vj,jab->vab", given["weights"], np.stack(world))
    points = np.concatenate([posed, np.ones((len(posed), 1))], axis=1)
    skinned: Doubles = np.einsum("vab,vb->va", blended, points)[:, :3]
    return skinned


def test_a_head_is_posed_as_by_flame(npz: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    shape, expression = random.normal(size=100), random.normal(size=50)
    turn, jaw = np.array([0.2, -0.4, 0.1]), np.array([0.3, 0.05, -0.08])
    head = load(flame_head(load_flame(npz), shape), tmp_path / "head.npz")
    angle = np.linalg.norm(turn)
    state = replace(
        neutral_state(53, (0, 0, 0.7), 0.4),
        expression=np.concatenate([expression, jaw]).astype(np.float32),
        head_rotation=np.array(
            [*(turn / angle * np.sin(angle / 2)), np.cos(angle / 2)], np.float32
        ),
    )
    expected = flame(shape, expression, turn, jaw)
    got = head.pose(state).astype(np.float64)
    # FLAME rotates the head about its root, this project about the middle between the eyes.
    got += (expected - got).mean(axis=0)
    assert np.abs(got - expected).max() < 1e-5
    assert np.abs(got - got.mean(axis=0)).max() > 0.1  # metres
    still = head.pose(replace(state, expression=np.zeros(53, np.float32)))
    assert np.abs(got - still - (got - still).mean(axis=0)).max() > 3e-3


def test_the_origin_lies_between_the_eyes(npz: Path) -> None:
    arrays = flame_head(load_flame(npz))
    assert tuple(arrays["expression_names"]) == COEFFICIENT_NAMES
    eyes = arrays["joint_positions"][3:]
    np.testing.assert_allclose(eyes.mean(axis=0), 0, atol=1e-7)
    assert eyes[0, 0] > 0.02
    np.testing.assert_allclose(arrays["weights"].sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("protocol", [1, 2, 4, 5])
def test_a_pickle_of_any_protocol_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    path = tmp_path / "generic_model.pkl"
    write_flame_pickle(path, monkeypatch, protocol)
    model, given = load_flame(path), flame_arrays()
    np.testing.assert_array_equal(model.template, given["v_template"])
    np.testing.assert_array_equal(model.regressor, given["J_regressor"])
    np.testing.assert_array_equal(model.correctives, given["posedirs"])
    np.testing.assert_array_equal(model.weights, given["weights"])
    np.testing.assert_array_equal(model.expressions, given["shapedirs"][..., 300:350])


class Attack:
    """Calls a function when Python's own unpickler reads it."""

    def __init__(self, call: Callable[..., object], *given: object) -> None:
        self._reduced = (call, given)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._reduced


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_malicious_pickle_runs_no_code(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps({"f": Attack(os.mkdir, str(trace))}, protocol))
    with pytest.raises(
        HeadError, match=r"refused: the pickle file names posix\.mkdir, which is no arr"
    ):
        load_flame(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # Python's own unpickler calls it
    assert trace.exists()


@pytest.mark.parametrize("call", [eval, getattr, __import__, np.load, np.memmap])
def test_pickled_names_of_other_functions_are_refused(
    tmp_path: Path, call: Callable[..., object]
) -> None:
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps({"f": Attack(call, "1", "2")}))
    with pytest.raises(PickleError, match="refused: the pickle file names"):
        read_plain_pickle(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable pickle"),
        (b"\x80\x02]q\x00.", "expected a dictionary, got list"),
        (pickle.dumps({"a": np.array([print], object)}, 2), "refused|must be of numbers"),
        (b"\x80\x02ccopyreg\n_reconstructor\nc_codecs\nencode\n\x85R.", "no known type"),
    ],
)
def test_a_broken_pickle_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "flame.pkl"
    path.write_bytes(content)
    with pytest.raises(PickleError, match=message):
        read_plain_pickle(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"posedirs": np.zeros((2, 3, 36))}, r"posedirs must be \(726, 3, 36\), got \(2, 3, 36\)"),
        ({"weights": np.full((726, 5), np.nan)}, "weights has values that are not finite"),
        ({"shapedirs": np.zeros((726, 3, 120))}, "100 shapes and 50 expressions, got 120"),
        ({"kintree_table": np.zeros((2, 5))}, r"FLAME's, \(0, 1, 1, 1\), got \(0, 0, 0, 0\)"),
        ({"f": np.full((4, 3), 726)}, r"f must index 0\.\.725"),
    ],
)
def test_a_file_of_another_model_is_reported(
    tmp_path: Path, changes: dict[str, NDArray[Any]], message: str
) -> None:
    np.savez(tmp_path / "flame.npz", allow_pickle=False, **{**flame_arrays(), **changes})
    with pytest.raises(HeadError, match=message):
        load_flame(tmp_path / "flame.npz")


def test_a_file_that_lacks_arrays_is_reported(tmp_path: Path) -> None:
    np.savez(tmp_path / "flame.npz", v_template=np.zeros((4, 3)))
    with pytest.raises(HeadError, match="lacks shapedirs, posedirs, J_regressor"):
        load_flame(tmp_path / "flame.npz")
    with pytest.raises(HeadError, match="not a readable FLAME file"):
        load_flame(tmp_path / "nowhere.npz")


def test_a_texture_layout_is_used_if_it_fits(npz: Path, tmp_path: Path) -> None:
    model = load_flame(npz)
    faces = len(model.faces)
    np.savez(
        tmp_path / "texture.npz",
        vt=np.array([[0.25, 1.0], [0, 0], [1, 0]]),
        ft=np.tile([0, 1, 2], (faces, 1)),
    )
    space = load_texture_space(tmp_path / "texture.npz")
    arrays = flame_head(model, space=space)
    np.testing.assert_array_equal(arrays["uvs"][0], [0.25, 0])  # v downwards
    with pytest.raises(HeadError, match=f"must have {faces} triangles, as the FLAME file, got 1"):
        flame_head(model, space=TextureSpace(space.uvs, space.uv_faces[:1]))
    (tmp_path / "t.obj").write_text("vt 0.25 1\nvt 0 0\nvt 1 0\nv 0 0 0\nf 1/1 1/2 1/3\n")
    np.testing.assert_array_equal(load_texture_space(tmp_path / "t.obj").uvs, space.uvs)
    (tmp_path / "t.obj").write_text("v 0 0 0\nf 1 1 1\n")
    with pytest.raises(HeadError, match="not a readable texture layout"):
        load_texture_space(tmp_path / "t.obj")
    (tmp_path / "t.obj").write_text("vt 0 0\nf 1/1 1/2 1/1\n")
    with pytest.raises(HeadError, match=r"ft must index 0\.\.0"):
        load_texture_space(tmp_path / "t.obj")
    (tmp_path / "t.obj").write_text(f"vt 0 0\nf 1/1 1/1 1/{10**30}\n")
    with pytest.raises(HeadError, match="too large"):
        load_texture_space(tmp_path / "t.obj")


def test_an_unrolled_head_has_no_triangle_across_the_texture(npz: Path) -> None:
    arrays = flame_head(load_flame(npz))
    corners = arrays["uvs"][arrays["uv_faces"]]
    assert 0 <= corners.min() <= corners.max() <= 1
    assert np.median(np.ptp(corners[..., 0], axis=1)) < 0.1
    # Only triangles at the poles are wide.
    assert np.quantile(np.ptp(corners[..., 0], axis=1), 0.99) < 0.2


def test_too_many_shape_coefficients_are_refused(npz: Path) -> None:
    with pytest.raises(HeadError, match="at most 100 finite numbers, got"):
        flame_head(load_flame(npz), np.zeros(101))
