"""glTF files of exporters: names, textures, `.gltf` with its buffers, parts that are joined."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.heads.glb import read_glb
from models.heads.gltf_file import MeshFileError
from models.heads.imported import arkit_deltas, import_head
from models.heads.mesh_files import read_mesh
from tests.models.heads.gltf_files import (
    CORNERS,
    MOVED,
    POSITIONS,
    TRIANGLE,
    UVS,
    Json,
    encoded,
    glb,
    read,
    textured,
    triangle,
    with_targets,
    write_triangle,
)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"mesh": {"extras": {"targetNames": ["jawOpen"]}}}, "jawOpen"),
        ({"primitive": {"extras": {"targetNames": ["jawOpen"]}}}, "jawOpen"),
        ({"accessor": {"name": "jawOpen"}}, "jawOpen"),
        ({"mesh": {"extras": None}, "accessor": {"name": "jawOpen"}}, "jawOpen"),
        ({"mesh": {"extras": {"targetNames": None}}, "accessor": {"name": None}}, "target0"),
        ({}, "target0"),
    ],
)
def test_names_of_morph_targets_are_read_from_each_place_that_exporters_use(
    tmp_path: Path, given: dict[str, Json], name: str
) -> None:
    part = read(tmp_path / "f.glb", with_targets(**given), TRIANGLE, MOVED.tobytes())
    assert list(part.deltas) == [name]
    np.testing.assert_array_equal(part.deltas[name], MOVED)


@pytest.mark.parametrize("names", [[], "jawOpen", {"a": 1}])
def test_names_that_do_not_match_the_morph_targets_are_refused(tmp_path: Path, names: Any) -> None:
    document = with_targets(mesh={"extras": {"targetNames": names}})
    if not names:  # an empty list is the same as none
        assert list(read(tmp_path / "f.glb", document, TRIANGLE, TRIANGLE).deltas) == ["target0"]
        return
    with pytest.raises(MeshFileError, match="expected 1 names of morph targets, got 0"):
        read(tmp_path / "f.glb", document, TRIANGLE, TRIANGLE)


def test_morph_targets_without_an_arkit_name_are_listed(tmp_path: Path) -> None:
    names = ["Smile\x1b[31m", "Blink\nLeft", "x" * 300]
    targets = [{"POSITION": 0}] * 3
    document = triangle(
        meshes=[
            {
                "primitives": [{"attributes": {"POSITION": 0}, "targets": targets}],
                "extras": {"targetNames": names},
            }
        ]
    )
    path = tmp_path / "f.glb"
    path.write_bytes(glb(document, TRIANGLE))
    with pytest.raises(
        MeshFileError, match=r"got Smile\?\[31m, Blink\?Left, x{40}\.\.\.$"
    ) as error:
        import_head(path)
    assert str(error.value).isprintable()


def split(path: Path, binary: bytes, **members: Any) -> Path:
    path.write_text(json.dumps(triangle(binary, **members)))
    return path


def test_the_buffers_of_a_gltf_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "my head.bin").write_bytes(TRIANGLE)
    inside = "data:application/octet-stream;base64," + base64.b64encode(TRIANGLE).decode()
    for uri in ("my%20head.bin", "./my head.bin", inside):
        path = split(tmp_path / "f.gltf", TRIANGLE, buffers=[{"byteLength": 36, "uri": uri}])
        (part,) = read_glb(path)
        np.testing.assert_array_equal(part.verts, CORNERS)
    write_triangle(tmp_path / "f.glb", buffers=[{"byteLength": 36, "uri": inside}])
    np.testing.assert_array_equal(read_glb(tmp_path / "f.glb")[0].verts, CORNERS)


@pytest.mark.parametrize(
    "uri",
    [
        "../secret.bin",
        "%2e%2e/secret.bin",
        "link.bin",
        "sub/../../secret.bin",
        "/dev/zero",
        "file:///etc/passwd",
        "missing.bin",
        "a%00b",
        "",
        "x" * 5000,
    ],
)
def test_files_outside_the_folder_of_a_gltf_file_are_not_read(tmp_path: Path, uri: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(TRIANGLE)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = split(folder / "f.gltf", TRIANGLE, buffers=[{"byteLength": 36, "uri": uri}])
    with pytest.raises(MeshFileError, match=r"as a file inside its folder|too long") as error:
        read_glb(path)
    assert len(str(error.value)) < len(str(path)) + 150


def test_a_glb_file_that_needs_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.bin").write_bytes(TRIANGLE)
    path = write_triangle(tmp_path / "f.glb", buffers=[{"byteLength": 36, "uri": "f.bin"}])
    with pytest.raises(MeshFileError, match="save everything into one GLB"):
        read_glb(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_base_colour_images_of_all_kinds_are_read(tmp_path: Path, kind: str) -> None:
    named = {"extensions": {"EXT_texture_webp": {"source": 0}}} if kind == "WEBP" else {"source": 0}
    document = textured({}, textures=[named], images=[{"bufferView": 2}])
    part = read(tmp_path / "f.glb", document, TRIANGLE, UVS, encoded(kind))
    assert part.image is not None
    assert part.image.shape == (2, 4, 3)
    assert abs(int(part.image[0, 0, 0]) - 200) < 12


def test_a_texture_transform_moves_the_coordinates(tmp_path: Path) -> None:
    change = {"offset": [0.5, 0.25], "scale": [0.5, 0.25], "rotation": np.pi / 2}
    document = textured(
        {"extensions": {"KHR_texture_transform": change}},
        textures=[{"source": 0}],
        images=[{"bufferView": 2}],
        extensionsRequired=["KHR_texture_transform"],
    )
    part = read(tmp_path / "f.glb", document, TRIANGLE, UVS, encoded("PNG"))
    # The extension's matrix: offset * rotation * scale, which turns (u, 0) to (0, -u).
    assert part.uvs is not None
    np.testing.assert_allclose(part.uvs, [[0.5, 0.25], [0.5, -0.25], [0.75, 0.25]], atol=1e-6)


def test_images_beside_a_gltf_file_are_read(tmp_path: Path) -> None:
    (tmp_path / "skin.png").write_bytes(encoded("PNG"))
    binary = TRIANGLE + UVS
    (tmp_path / "f.bin").write_bytes(binary)
    document = textured({}, textures=[{"source": 0}], images=[{"uri": "skin.png"}])
    document["bufferViews"] = [
        {"byteLength": 36},
        {"byteOffset": 36, "byteLength": len(UVS)},
    ]
    document["buffers"] = [{"byteLength": len(binary), "uri": "f.bin"}]
    (tmp_path / "f.gltf").write_text(json.dumps(document))
    (part,) = read_glb(tmp_path / "f.gltf")
    assert part.image is not None
    assert part.image.shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            triangle(extensionsRequired=["KHR_draco_mesh_compression"]),
            r"it needs KHR_draco_mesh_compression: decompress it, for example by npx @gltf-tr",
        ),
        (
            triangle(
                bufferViews=[{"byteLength": 36, "extensions": {"EXT_meshopt_compression": {}}}]
            ),
            "it needs EXT_meshopt_compression: decompress it, for example by npx",
        ),
        (
            textured({}, textures=[{"extensions": {"KHR_texture_basisu": {"source": 0}}}]),
            "it needs KHR_texture_basisu: save its textures as PNG or JPEG",
        ),
        (triangle(extensionsRequired=["X" * 500]), r"it needs X{60}\.\.\.: save it without"),
    ],
)
def test_unsupported_features_are_reported_with_a_remedy(
    tmp_path: Path, document: Json, message: str
) -> None:
    path = tmp_path / "f.glb"
    binary = TRIANGLE + UVS
    if len(document["accessors"]) > 1:
        document["bufferViews"] = [{"byteLength": 36}, {"byteOffset": 36, "byteLength": 24}]
    path.write_bytes(glb(document, binary))
    with pytest.raises(MeshFileError, match=message):
        read_glb(path)


def test_extensions_of_materials_and_lights_are_ignored(tmp_path: Path) -> None:
    write_triangle(
        tmp_path / "f.glb",
        extensionsRequired=["KHR_materials_clearcoat", "KHR_lights_punctual"],
    )
    np.testing.assert_array_equal(read_glb(tmp_path / "f.glb")[0].verts, CORNERS)


def test_strips_and_fans_are_read_as_triangles(tmp_path: Path) -> None:
    corners = struct.pack("<12f", 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0)
    accessor = POSITIONS | {"count": 4}
    for mode, expected in ((5, [[0, 1, 2], [3, 2, 1]]), (6, [[0, 1, 2], [0, 2, 3]])):
        primitive = {"attributes": {"POSITION": 0}, "mode": mode}
        path = write_triangle(
            tmp_path / "f.glb",
            corners,
            accessors=[accessor],
            meshes=[{"primitives": [primitive]}],
        )
        np.testing.assert_array_equal(read_glb(path)[0].faces, expected)


def two_parts(first: list[str], second: list[str]) -> Json:
    """Return a document of two triangles, each a mesh with morph targets of these names."""
    meshes = [
        {
            "primitives": [{"attributes": {"POSITION": 0}, "targets": [{"POSITION": 1}] * len(n)}],
            "extras": {"targetNames": n},
        }
        for n in (first, second)
    ]
    document = triangle(nodes=[{"mesh": 0}, {"mesh": 1}], meshes=meshes)
    return document | {"accessors": [POSITIONS, POSITIONS | {"bufferView": 1}]}


@pytest.mark.parametrize(
    ("first", "second", "moved", "note"),
    [
        # Maya numbers the nodes of the parts; a part may have more targets than another.
        (["blendShape1.jawOpen"], ["blendShape2.jawOpen", "b.mouthLeft"], [6, 3], None),
        (["jawOpen"], ["jawOpen"], [6], None),
        # Two targets of one part: the first is used.
        (["jawOpen", "jawOpen"], ["JawOpen"], [6], r"not used: jawOpen \(1\)"),
        (["eyeBlink.L", "EyeBlink_L", "x"], ["y"], [3], "not used: EyeBlink_L, x, y"),
    ],
)
def test_targets_of_several_parts_are_merged_into_one_expression(
    tmp_path: Path, first: list[str], second: list[str], moved: list[int], note: str | None
) -> None:
    path, notes = tmp_path / "f.glb", list[str]()
    binary = TRIANGLE + MOVED.tobytes()
    document = two_parts(first, second) | {
        "bufferViews": [{"byteLength": 36}, {"byteOffset": 36, "byteLength": 36}],
        "buffers": [{"byteLength": 72}],
    }
    path.write_bytes(glb(document, binary))
    deltas = arkit_deltas(path, read_mesh(path).deltas, notes.append)
    assert [int(delta.any(1).sum()) for delta in deltas.values()] == moved
    assert len(notes) == (note is not None)
    assert note is None or re.search(note, notes[0])


@pytest.mark.parametrize("tile", [(0, 0), (1, 0), (-3, 1)])
def test_texture_coordinates_in_another_tile_are_moved(
    tmp_path: Path, tile: tuple[int, int]
) -> None:
    placed = (np.frombuffer(UVS, "<f4").reshape(3, 2) + tile).astype("<f4").tobytes()
    document = textured({}, textures=[{"source": 0}], images=[{"bufferView": 2}])
    read(tmp_path / "f.glb", document, TRIANGLE, placed, encoded("PNG"))
    mesh = read_mesh(tmp_path / "f.glb")
    assert mesh.uvs is not None
    np.testing.assert_allclose(mesh.uvs, [[0, 0], [1, 0], [0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("corner", "tiles", "placed"),
    [
        ((2, 1), (2, 1), [[0.125, 0], [1, 0], [0.125, 1]]),
        ((-1.75, -3), (3, 3), [[0.75, 1], [0.083, 1], [0.75, 0]]),
        # One coordinate far outside does not reduce the texels of the others.
        ((100, 1), (8, 1), [[0.03125, 0], [1, 0], [0.03125, 1]]),
    ],
)
def test_the_texture_is_repeated_for_coordinates_in_several_tiles_with_a_note(
    tmp_path: Path, corner: tuple[float, float], tiles: tuple[int, int], placed: list[list[float]]
) -> None:
    u, v = corner
    layout = np.array([[0.25, 0], [u, 0], [0.25, v]], "<f4")
    image, stored = np.zeros((64, 64, 3), np.uint8), io.BytesIO()
    image[:32, :32] = 255
    Image.fromarray(image).save(stored, "PNG")
    document = textured({}, textures=[{"source": 0}], images=[{"bufferView": 2}])
    read(tmp_path / "f.glb", document, TRIANGLE, layout.tobytes(), stored.getvalue())
    mesh = read_mesh(tmp_path / "f.glb")
    assert mesh.uvs is not None
    assert mesh.image is not None
    np.testing.assert_allclose(mesh.uvs, placed, atol=1e-2)
    columns, rows = tiles
    note = f"a part: the texture is repeated in {columns} x {rows} tiles, as its coordinates span"
    assert mesh.notes == [note]
    light = mesh.image[..., 0] > 127
    # A quarter of each tile is light, at the tile's corner.
    assert abs(light.mean() - 0.25) < 0.01
    assert light[8 :: 1024 // rows, 8 :: 1024 // columns].all()
    assert not light[-8 :: -1024 // rows, -8 :: -1024 // columns].any()


def test_numbers_whose_squares_overflow_are_refused(tmp_path: Path) -> None:
    path, far = tmp_path / "f.glb", np.full((3, 3), 1e30, "<f4").tobytes()
    views = [{"byteLength": 36}, {"byteOffset": 36, "byteLength": 36}]
    document = two_parts(["jawOpen"], ["jawOpen"]) | {
        "bufferViews": views,
        "buffers": [{"byteLength": 72}],
    }
    path.write_bytes(glb(document, TRIANGLE + far))
    with pytest.raises(MeshFileError, match="expected morph targets within 1e"):
        read_mesh(path)
    change = {
        "extensions": {"KHR_texture_transform": {"scale": [1e300, 1e300], "offset": [1e9, 0]}}
    }
    document = textured(change, textures=[{"source": 0}], images=[{"bufferView": 2}])
    with pytest.raises(MeshFileError, match="expected texture coordinates within 1e"):
        read(path, document, TRIANGLE, UVS, encoded("PNG"))


def test_a_texture_shared_by_many_parts_is_resized_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = list[tuple[int, int]]()
    resize = Image.Image.resize

    def counted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
        sizes.append(size)
        return resize(image, size)

    monkeypatch.setattr(Image.Image, "resize", counted)
    path = tmp_path / "f.glb"
    document = textured({}, textures=[{"source": 0}], images=[{"bufferView": 2}])
    read(path, document, TRIANGLE, UVS, encoded("PNG"))
    read_mesh(path)
    one, sizes[:] = len(sizes), []
    many = document | {"meshes": [{"primitives": document["meshes"][0]["primitives"] * 50}]}
    with pytest.raises(ValueError, match="too many values to unpack"):
        read(path, many, TRIANGLE, UVS, encoded("PNG"))  # has written the file
    assert read_mesh(path).image is not None
    assert len(sizes) == one
