"""Rare forms of glTF files: each is read, refused with a reason, or reported as unused."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from models.heads.glb import read_glb
from models.heads.gltf_file import MeshFileError
from models.heads.imported import arkit_deltas
from tests.models.heads.gltf_files import (
    CORNERS,
    MOVED,
    POSITIONS,
    TRIANGLE,
    UVS,
    Json,
    encoded,
    read,
    textured,
    triangle,
    with_targets,
    write_triangle,
)

TEXT = base64.b64encode(TRIANGLE).decode()
PRIMITIVE: Json = {"attributes": {"POSITION": 0}}


@pytest.mark.parametrize(
    "uri",
    [
        f"DATA:Application/Octet-Stream;Charset=x;BASE64,{TEXT}",
        f"data:;base64,{TEXT}",
        f"data:application/gltf-buffer; base64 ,{TEXT[:20]}\r\n {TEXT[20:]}",
        f"data:;base64,{TEXT.replace('A', '%41')}",
        "data:application/octet-stream," + "".join(f"%{byte:02x}" for byte in TRIANGLE),
        "sub\\f.bin",
        "100%25.bin",
    ],
)
def test_buffer_uris_are_read_in_all_spellings(tmp_path: Path, uri: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("sub/f.bin", "100%25.bin"):
        (tmp_path / name).write_bytes(TRIANGLE)
    document = triangle(buffers=[{"byteLength": 36, "uri": uri}])
    (tmp_path / "f.gltf").write_text(json.dumps(document))
    np.testing.assert_array_equal(read_glb(tmp_path / "f.gltf")[0].verts, CORNERS)


@pytest.mark.parametrize("uri", ["data:application/octet-stream;base64", "data:;base64,a*"])
def test_a_broken_data_uri_is_refused(tmp_path: Path, uri: str) -> None:
    path = write_triangle(tmp_path / "f.glb", buffers=[{"byteLength": 36, "uri": uri}])
    with pytest.raises(MeshFileError, match=r"a data URI (has no comma|is no base64)"):
        read_glb(path)


def test_the_format_is_found_from_the_bytes_of_a_file(tmp_path: Path) -> None:
    inside = triangle(buffers=[{"byteLength": 36, "uri": f"data:;base64,{TEXT}"}])
    text = json.dumps(inside)
    for data in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        (tmp_path / "f.glb").write_bytes(data)
        np.testing.assert_array_equal(read_glb(tmp_path / "f.glb")[0].verts, CORNERS)
    write_triangle(tmp_path / "f.gltf")
    np.testing.assert_array_equal(read_glb(tmp_path / "f.gltf")[0].verts, CORNERS)


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<I4s", len(data) if length is None else length, kind) + data


JSON = json.dumps(triangle()).encode()


@pytest.mark.parametrize(
    ("chunks", "refused"),
    [
        (chunk(b"JSON", JSON) + chunk(b"BIN\0", TRIANGLE, 4000), None),  # the rest is not used
        (chunk(b"JSON", JSON + b"\0\0\0") + chunk(b"BIN\0", TRIANGLE), None),
        (chunk(b"JSON", JSON) + chunk(b"MORE", b"1234") + chunk(b"BIN\0", TRIANGLE) + b"x", None),
        (chunk(b"JSON", JSON, 4000) + chunk(b"BIN\0", TRIANGLE), "its JSON chunk ends after the"),
        (chunk(b"JSON", JSON) + chunk(b"BIN\0", TRIANGLE, 8), "buffer view 0 ends after its"),
        (chunk(b"JSON", JSON), "buffer view 0 ends after its buffer of 0 bytes"),
    ],
)
def test_chunks_of_wrong_lengths_are_read_if_complete(
    tmp_path: Path, chunks: bytes, refused: str | None
) -> None:
    (tmp_path / "f.glb").write_bytes(struct.pack("<4sII", b"glTF", 2, 7) + chunks)
    if refused is None:
        np.testing.assert_array_equal(read_glb(tmp_path / "f.glb")[0].verts, CORNERS)
        return
    with pytest.raises(MeshFileError, match=refused):
        read_glb(tmp_path / "f.glb")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"nodes": [{"mesh": -1}]}, "number of one of its meshes: expected a whole number from 0"),
        ({"nodes": [{"mesh": True}]}, "number of one of its meshes: expected a whole number"),
        ({"nodes": [{"mesh": 10**300}]}, r"expected a whole number from 0, got 10{39}\.\.\.$"),
        ({"nodes": [{"mesh": 1}]}, "it refers to meshes 1, which it does not hold"),
        ({"scenes": [{"nodes": [-1]}]}, "number of one of its nodes: expected a whole number"),
        ({"scenes": [{"nodes": [0]}], "scene": "0"}, "number of one of its scenes"),
        ({"accessors": [POSITIONS | {"bufferView": -1}]}, "number of one of its bufferViews"),
        ({"meshes": [{"primitives": [PRIMITIVE | {"material": -1}]}]}, "one of its materials"),
        ({"meshes": [{"primitives": [{"attributes": {"POSITION": -1}}]}]}, "of its accessors"),
        ({"meshes": [{"primitives": [PRIMITIVE | {"mode": 7}]}]}, "expected 0..6, got 7"),
        ({"accessors": [POSITIONS | {"componentType": 5130}]}, "got 5130 and VEC3"),
        ({"nodes": [{"mesh": 0, "rotation": [0, 0, 0, 0]}]}, "a quaternion, got zeros"),
        ({"nodes": [{"mesh": 0, "scale": [1, 1]}]}, "scale of node 0: expected 3 finite numbers"),
        (
            {"meshes": [{"primitives": [PRIMITIVE | {"targets": {"jawOpen": {}}}]}]},
            "expected a list of morph targets, got {'jawOpen'",
        ),
        ({"asset": {"version": "1.0"}}, "expected glTF 2.0, got version 1.0"),
        ({"extensionsRequired": "EXT_x"}, "it needs EXT_x: save it without this extension"),
        (
            {"nodes": [{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {}}}]},
            "it needs EXT_mesh_gpu_instancing",
        ),
    ],
)
def test_values_that_gltf_does_not_allow_are_refused(
    tmp_path: Path, parts: Json, message: str
) -> None:
    with pytest.raises(MeshFileError, match=message):
        read_glb(write_triangle(tmp_path / "f.glb", **parts))


@pytest.mark.parametrize(
    "parts",
    [
        {"nodes": [{"mesh": 0.0, "rotation": None, "scale": None}], "scene": 0.0},
        {"accessors": [POSITIONS | {"count": 3.0, "normalized": True, "sparse": None}]},
        {"bufferViews": [{"byteLength": 36, "byteStride": 0}]},
        {"extensionsRequired": ["KHR_node_visibility", "KHR_xmp_json_ld"]},
        {
            "meshes": [
                {"primitives": [PRIMITIVE | {"extensions": {"KHR_draco_mesh_compression": {}}}]}
            ]
        },
    ],
)
def test_equivalent_values_are_read(tmp_path: Path, parts: Json) -> None:
    path = write_triangle(tmp_path / "f.glb", **parts)
    np.testing.assert_array_equal(read_glb(path)[0].verts, CORNERS)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"mesh": {"extras": {"targetNames": [""]}}, "accessor": {"name": "jawOpen"}}, "jawOpen"),
        ({"mesh": {"extras": {"targetNames": [None]}}, "accessor": {"name": " "}}, "target0"),
        ({"mesh": {"extras": ["targetNames"]}, "accessor": {"name": "jawOpen"}}, "jawOpen"),
        ({"mesh": {"extras": "x"}, "primitive": {"extras": 3}}, "target0"),
        (
            {
                "primitive": {
                    "targets": [{"POSITION": 1, "extras": {"name": "jawOpen"}}],
                }
            },
            "jawOpen",
        ),
    ],
)
def test_the_first_usable_name_of_a_morph_target_is_used(
    tmp_path: Path, given: dict[str, Json], name: str
) -> None:
    part = read(tmp_path / "f.glb", with_targets(**given), TRIANGLE, MOVED.tobytes())
    assert list(part.deltas) == [name]


def test_a_blender_suffix_is_ignored_and_a_target_without_movement_is_reported() -> None:
    notes: list[str] = []
    still = np.zeros((1, 3), np.float32)
    named = arkit_deltas(Path("f"), {"jawOpen.001": still + 1, "tongueOut": still}, notes.append)
    assert list(named) == ["jawOpen", "tongueOut"]
    assert notes == ["morph targets that move nothing: tongueOut"]


@pytest.mark.parametrize(
    "second",
    [{"texCoord": 1}, {"extensions": {"KHR_texture_transform": {"texCoord": 1}}}],
)
def test_a_texture_uses_its_own_set_of_coordinates(tmp_path: Path, second: Json) -> None:
    document = textured(second, textures=[{"source": 0}], images=[{"bufferView": 2}])
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    attributes["TEXCOORD_1"] = attributes.pop("TEXCOORD_0")
    part = read(tmp_path / "f.glb", document, TRIANGLE, UVS, encoded("PNG"))
    assert part.image is not None
    assert part.uvs is not None
    np.testing.assert_array_equal(part.uvs, np.frombuffer(UVS, "<f4").reshape(3, 2))


def test_textures_of_specular_glossiness_materials_are_read(tmp_path: Path) -> None:
    document = textured({}, textures=[{"source": 0}], images=[{"bufferView": 2}])
    old = {"KHR_materials_pbrSpecularGlossiness": {"diffuseTexture": {"index": 0}}}
    document["materials"] = [{"extensions": old}]
    part = read(tmp_path / "f.glb", document, TRIANGLE, UVS, encoded("PNG"))
    assert part.image is not None
    assert abs(int(part.image[0, 0, 0]) - 200) < 12
