"""Imports of users' meshes as heads: reading, scaling, completing, rendering, training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.avatar.folder import load_avatar
from models.contract.arkit import ARKIT_NAMES, arkit_name
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.flame import COEFFICIENT_NAMES
from models.geometry.head_file import load_head
from models.heads.anatomy import part_material
from models.heads.glb import read_glb
from models.heads.gltf_file import MeshFileError
from models.heads.holes import find_loops
from models.heads.imported import import_head
from models.heads.mesh_files import read_mesh
from models.runtime.renderer import CachedRenderer
from models.studio.studio import load_studio
from server.pool.fake import EXPRESSION_NAMES
from tests.models.flame_file import write_flame_npz
from tests.scripts.conftest import ROOT, Run
from tests.scripts.mesh_files import (
    EYES_CM,
    GlbWriter,
    egg_head,
    jaw_open,
    write_face_obj,
    write_head_glb,
)

MESHES = ROOT.parent / "shared" / "data" / "meshes"


@pytest.fixture(scope="module")
def glb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh") / "head.glb"
    write_head_glb(path)
    return path


@pytest.fixture(scope="module")
def arrays(glb: Path) -> dict[str, Any]:
    return import_head(glb)


def test_interleaved_normalised_and_sparse_accessors_are_read(glb: Path) -> None:
    head, left, right = read_glb(glb)
    verts, faces, uvs = egg_head()
    np.testing.assert_allclose(head.verts, verts, atol=1e-5)
    np.testing.assert_array_equal(head.faces, faces)
    assert head.uvs is not None
    np.testing.assert_allclose(head.uvs, uvs, atol=1e-5)
    np.testing.assert_allclose(head.deltas["JawOpen"], jaw_open(verts), atol=1e-6)
    np.testing.assert_allclose([left.verts.mean(0), right.verts.mean(0)], EYES_CM, atol=1e-5)
    assert "EyeLeftRight" in left.name


def test_the_origin_of_a_head_is_moved_between_its_eyes(arrays: dict[str, Any]) -> None:
    assert tuple(arrays["expression_names"]) == ("jawOpen", "mouthSmileLeft")
    neutral = arrays["neutral"]
    verts, _, _ = egg_head()
    placed = (verts - EYES_CM.mean(axis=0)) / 100  # metres, origin between the eyes
    np.testing.assert_allclose(neutral[: len(verts)], placed, atol=1e-5)
    np.testing.assert_allclose(
        arrays["joint_positions"][3:], [[0.031, 0, 0], [-0.031, 0, 0]], atol=1e-5
    )
    hinge = (np.array([0, -1, 0]) - EYES_CM.mean(axis=0)) / 100
    np.testing.assert_allclose(arrays["joint_positions"][2], hinge, atol=2e-3)


def test_named_eyeballs_are_replaced_by_jointed_eyeballs(arrays: dict[str, Any]) -> None:
    eye = list(arrays["material_names"]).index("eye")
    used = np.unique(arrays["faces"][arrays["materials"] == eye])
    left = used[arrays["neutral"][used, 0] > 0]
    assert (arrays["weights"][left, 3] == 1).all()
    radius = np.linalg.norm(arrays["neutral"][left] - arrays["joint_positions"][3], axis=1)
    np.testing.assert_allclose(radius, 0.012, atol=8e-4)
    first = len(egg_head()[0])
    assert not np.isin(arrays["faces"], np.arange(first, first + 2 * 162)).any()


def state(arrays: dict[str, Any], **expression: float) -> FrameState:
    names = list(arrays["expression_names"])
    eye = tuple(arrays["eye_position"].tolist())
    result = neutral_state(len(names), eye, float(arrays["fov_y_rad"]))
    for name, value in expression.items():
        result.expression[names.index(name)] = value
    return result


def test_the_studio_renders_an_imported_head(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "head.npz", allow_pickle=False, **arrays)
    studio = load_studio(tmp_path / "head.npz", 96, texture_size=256)
    still, opened = (studio.render(state(arrays, jawOpen=v)) for v in (0, 1))
    assert 0.2 < (still.mask > 127).mean() < 0.8
    assert not still.mask[[0, -1]].any()
    assert not still.mask[:, [0, -1]].any()
    assert np.abs(still.rgb.astype(int) - opened.rgb).mean() > 0.5


def test_the_base_colour_image_of_a_mesh_is_its_texture(glb: Path, tmp_path: Path) -> None:
    write_head_glb(tmp_path / "blue.glb", colour=(20, 40, 200))
    arrays = import_head(tmp_path / "blue.glb")
    np.savez(tmp_path / "head.npz", allow_pickle=False, **arrays)
    image = load_studio(tmp_path / "head.npz", 96, texture_size=256).render(state(arrays))
    cheek = image.rgb[60, 40].astype(int)
    assert cheek[2] > cheek[0] + 60
    assert "base_colour" not in import_head(glb)


def test_a_face_mask_without_expressions_keeps_its_vertices(tmp_path: Path) -> None:
    count = write_face_obj(tmp_path / "face.obj")
    arrays = import_head(tmp_path / "face.obj")
    assert arrays["neutral"].shape == (count, 3)
    assert arrays["deltas"].shape == (0, count, 3)
    mesh = read_mesh(tmp_path / "face.obj")
    assert len(find_loops(mesh.verts, mesh.faces)) == 4
    assert len(find_loops(arrays["neutral"], arrays["faces"])) == 1  # only the outer boundary
    assert arrays["joint_positions"][3, 0] == pytest.approx(0.03, abs=1e-3)
    np.savez(tmp_path / "head.npz", allow_pickle=False, **arrays)
    studio = load_studio(tmp_path / "head.npz", 64, texture_size=128)
    image = studio.render(state(arrays))
    assert image.mask[24:40, 24:40].min() == 255  # the holes are filled
    moved = arrays["neutral"] + np.array([0, 0.03, 0], np.float32)
    shown = FrameState(
        **{
            name: getattr(state(arrays), name)
            for name in FrameState.__dataclass_fields__
            if name != "vertices"
        },
        vertices=moved,
    )
    assert np.abs(studio.render(shown).mask.astype(int) - image.mask).max() == 255


@pytest.mark.parametrize(
    ("name", "expressions", "vertices"),
    [("ict_face_arkit51.glb", 51, 9547), ("canonical_face_model.obj", 0, 468)],
)
def test_real_meshes_are_imported(name: str, expressions: int, vertices: int) -> None:
    if not (MESHES / name).exists():
        pytest.skip(f"needs {MESHES / name}")
    arrays = import_head(MESHES / name)
    missing = set(ARKIT_NAMES) - set(arrays["expression_names"])
    assert missing == ({"tongueOut"} if expressions else set(ARKIT_NAMES))
    assert len(arrays["neutral"]) >= vertices
    assert expressions or len(arrays["neutral"]) == vertices
    assert 0.05 < np.ptp(arrays["joint_positions"][3:, 0]) < 0.075  # pupillary distance of adults
    lips = arrays["masks"][:, list(arrays["mask_names"]).index("lips")] > 0.5
    assert np.abs(arrays["neutral"][lips, 0]).max() < 0.035


@pytest.mark.slow
def test_an_avatar_is_trained_from_an_imported_mesh(run: Run, glb: Path, tmp_path: Path) -> None:
    done = run("import_head.py", glb, "head.npz", "--picture", "head.png")
    assert done.returncode == 0, done.stderr
    assert "2 expressions" in done.stdout
    with Image.open(tmp_path / "head.png") as image:
        assert image.size == (384, 384)
    dataset = run(
        "make_dataset.py", "--out", "data", "--head", "head.npz", "--size", 64, "--train", 1,
        "--val", 1, "--test", 1, "--length", 6, "--workers", 1,
    )  # fmt: skip
    assert dataset.returncode == 0, dataset.stderr
    trained = run(
        "train.py", "--data", "data", "--head", "head.npz", "--train.steps", 3,
        "--train.pairs.batch", 1, "--train.pairs.crop", 64, "--train.validation-frames", 3,
        "--train.network.network-size", 0.0625, "--train.network.texture-size", 64,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    avatar = load_avatar(tmp_path / "runs" / "default" / "avatar")
    assert avatar.manifest.expression_names == ("jawOpen", "mouthSmileLeft")
    renderer = CachedRenderer(avatar)
    renderer.warm_up()


def test_a_flame_file_becomes_a_head_file(run: Run, tmp_path: Path) -> None:
    write_flame_npz(tmp_path / "flame.npz")
    done = run("import_head.py", "flame.npz", "heads/flame.npz")
    assert done.returncode == 0, done.stderr
    assert load_head(tmp_path / "heads" / "flame.npz").expression_names == COEFFICIENT_NAMES


@pytest.mark.parametrize(
    ("spelt", "meant"),
    [
        ("jawOpen", "jawOpen"),
        ("EyeBlink_L", "eyeBlinkLeft"),
        ("eyeBlink_R", "eyeBlinkRight"),
        ("blendShape1.MouthSmileLeft", "mouthSmileLeft"),
        ("mouth_roll_lower", "mouthRollLower"),
        ("wiggle", None),
    ],
)
def test_arkit_names_are_recognised_in_any_spelling(spelt: str, meant: str | None) -> None:
    assert arkit_name(spelt) == meant


def test_there_are_52_arkit_names_in_alphabetical_order() -> None:
    assert len(ARKIT_NAMES) == 52
    assert set(ARKIT_NAMES) == set(EXPRESSION_NAMES)
    assert list(ARKIT_NAMES) == sorted(ARKIT_NAMES)


@pytest.mark.parametrize(
    ("name", "material"),
    [
        ("M_Teeth head", "teeth"),
        ("EyeLeft", "eye"),
        ("eyelashes", "lash"),
        ("eyelid upper", "skin"),
        ("T-Shirt", "cloth"),
        ("head", "skin"),
    ],
)
def test_materials_are_recognised_by_the_names_of_parts(name: str, material: str) -> None:
    assert part_material(name) == material


def write_short_buffer_view(path: Path) -> None:
    glb = GlbWriter()
    view = glb.view(b"\0" * 12)
    glb.accessor(5126, 3, "VEC3", bufferView=view)
    primitive = {"attributes": {"POSITION": 0}}
    glb.write(path, nodes=[{"mesh": 0}], meshes=[{"primitives": [primitive]}])


def write_compressed_head(path: Path) -> None:
    GlbWriter().write(path, nodes=[], extensionsRequired=["KHR_draco_mesh_compression"])


def write_head_without_eyes(path: Path, unit: float = 1.0) -> None:
    verts, faces, _ = egg_head()
    glb = GlbWriter()
    index = glb.accessor(5123, faces.size, "SCALAR", bufferView=glb.view(faces.tobytes()))
    primitive = {"attributes": {"POSITION": glb.floats(verts * unit)}, "indices": index}
    glb.write(path, nodes=[{"mesh": 0}], meshes=[{"primitives": [primitive]}])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"solid"), "not a readable GLB file"),
        (lambda path: path.write_bytes(b"glTF" + b"\1\0\0\0" * 2), "expected a binary glTF 2.0"),
        (lambda path: GlbWriter().write(path, nodes=[]), "holds no triangles"),
        (write_short_buffer_view, "buffer view 0 is shorter than what is read from it"),
        (write_compressed_head, "it needs KHR_draco_mesh_compression"),
        (write_head_without_eyes, "cannot find the eyes"),
        (
            lambda path: write_head_without_eyes(path, 0.17),
            r"expected a head 0\.12 to 0\.6 m high.*got 4\.08",
        ),
    ],
)
def test_a_mesh_that_is_no_head_is_rejected(
    tmp_path: Path, write: Callable[[Path], object], message: str
) -> None:
    write(tmp_path / "head.glb")
    with pytest.raises(MeshFileError, match=message):
        import_head(tmp_path / "head.glb")


def test_other_files_are_rejected(run: Run, tmp_path: Path) -> None:
    with pytest.raises(MeshFileError, match=r"must be a \.glb, \.gltf or \.obj file"):
        import_head(tmp_path / "head.fbx")
    (tmp_path / "broken.obj").write_text("v 0 0 0\nf 1 2 3\n")
    with pytest.raises(MeshFileError, match="faces must index its 1 vertices"):
        import_head(tmp_path / "broken.obj")
    failed = run("import_head.py", "nowhere.glb", "head.npz")
    assert failed.returncode == 1
    assert "import_head: nowhere.glb is not a readable GLB file" in failed.stderr
    assert "Traceback" not in failed.stderr
