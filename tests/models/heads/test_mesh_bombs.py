"""Mesh files that need much memory or time are refused in one line, within bounds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.heads.gltf_file import MeshFileError
from models.heads.imported import import_head
from tests.models.bounds import within_bounds
from tests.models.heads.gltf_files import POSITIONS, Json, glb, png, triangle

ZEROS = {key: value for key, value in POSITIONS.items() if key != "bufferView"}
"""An accessor without a buffer view: all its values are zero."""
CORNER = {"attributes": {"POSITION": 0}}


def many_targets() -> bytes:
    """Return a file of 2000 parts with a morph target each, all of different names."""
    names = [{"name": f"m{index}"} for index in range(2000)]
    meshes = [
        {"primitives": [CORNER | {"targets": [{"POSITION": index + 1}]}]} for index in range(2000)
    ]
    nodes = [{"mesh": index} for index in range(2000)]
    accessors = [POSITIONS, *(POSITIONS | name for name in names)]
    return of(triangle(meshes=meshes, nodes=nodes, accessors=accessors))


def of(document: Json | bytes, binary: bytes = bytes(36)) -> bytes:
    return glb(document, binary)


def nodes(count: int) -> Json:
    return triangle(nodes=[{"mesh": 0}] * count)


def textures(count: int, side: int) -> Json:
    """Return parts with one image each."""
    image = png(side, side)
    uvs = POSITIONS | {"type": "VEC2"}
    primitives = [
        {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": index}
        for index in range(count)
    ]
    paint = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": i}}} for i in range(count)]
    return triangle(
        bytes(36) + image,
        meshes=[{"primitives": primitives}],
        materials=paint,
        textures=[{"source": index} for index in range(count)],
        images=[{"bufferView": 1}] * count,
        accessors=[POSITIONS, uvs],
        bufferViews=[{"byteLength": 36}, {"byteOffset": 36, "byteLength": len(image)}],
    )


SPARSE = {"count": 3 * 10**8, "indices": {"bufferView": 0, "componentType": 5121}}
GLTF_BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "rows": (lambda: of(triangle(accessors=[POSITIONS | {"count": 10**12}])), "250000 vertices"),
    "rows of nothing": (lambda: of(triangle(accessors=[ZEROS | {"count": 10**12}])), "250000 v"),
    "negative rows": (lambda: of(triangle(accessors=[ZEROS | {"count": -3}])), "from 0, got -3"),
    "broken rows": (lambda: of(triangle(accessors=[ZEROS | {"count": 0.5}])), "from 0, got 0.5"),
    "true rows": (lambda: of(triangle(accessors=[ZEROS | {"count": True}])), "got True"),
    "corners": (
        lambda: of(
            triangle(
                accessors=[POSITIONS, ZEROS | {"count": 10**9, "type": "SCALAR"}],
                meshes=[{"primitives": [CORNER | {"indices": 1}]}],
            )
        ),
        "500000 triangles",
    ),
    "morph targets": (
        lambda: of(
            triangle(
                accessors=[ZEROS | {"count": 200_000}],
                meshes=[{"primitives": [CORNER | {"targets": [{"POSITION": 0}] * 60}]}],
            )
        ),
        "at most 20000000 numbers",
    ),
    "names of morph targets": (many_targets, "expected fewer morph targets, got 2000 names"),
    "instances": (lambda: of(nodes(3000)), "at most 2000 parts"),
    "nodes": (lambda: of(nodes(30_000)), "at most 20000 nodes"),
    "circle of nodes": (
        lambda: of(triangle(nodes=[{"mesh": 0, "children": [0]}])),
        "a tree of nodes, got none at its root",
    ),
    "doubling nodes": (
        lambda: of(
            triangle(
                nodes=[*({"children": [i + 1, i + 1]} for i in range(34)), {"mesh": 0}],
                scenes=[{"nodes": [0]}],
            )
        ),
        "a tree of nodes, got node 34 twice",
    ),
    "overlapping rows": (
        lambda: of(triangle(bufferViews=[{"byteLength": 36, "byteStride": 4}])),
        "a stride of 12 bytes or more",
    ),
    "negative stride": (
        lambda: of(triangle(bufferViews=[{"byteLength": 12, "byteStride": -12}])),
        "from 0, got -12",
    ),
    "negative offset": (
        lambda: of(triangle(bufferViews=[{"byteLength": 36, "byteOffset": -8}])),
        "from 0, got -8",
    ),
    "huge stride": (
        lambda: of(triangle(bufferViews=[{"byteLength": 36, "byteStride": 2**52}])),
        "shorter than what is read from it",
    ),
    "sparse rows": (
        lambda: of(triangle(accessors=[ZEROS | {"sparse": SPARSE}])),
        "has 3 rows, but 300000000 to set",
    ),
    "one image": (lambda: of(textures(1, 60_000), bytes(36) + png(60_000, 60_000)), "67108864"),
    "many images": (lambda: of(textures(5, 4096), bytes(36) + png(4096, 4096)), "texture"),
    "deep JSON": (lambda: of(b"[" * 200_000), "nested too deeply"),
    "wide JSON": (lambda: of(b"[" + b"[]," * 2_000_000 + b"0]"), "at most 1000000 values"),
    "digits": (lambda: of(b'{"a":' + b"1" * 100_000 + b"}"), "its JSON is broken"),
    "no numbers": (
        lambda: of(triangle(), struct.pack("<9f", *[float("nan")] * 9)),
        "3 finite numbers in each row",
    ),
    "far away": (
        lambda: of(triangle(nodes=[{"mesh": 0, "scale": [1e300, 1e300, 1e300]}]), b"\0\0\x80?" * 9),
        "within 1e",
    ),
    "part of a file": (lambda: of(triangle())[:60], "its JSON chunk ends after the file"),
}


@pytest.mark.parametrize("name", GLTF_BOMBS)
def test_a_gltf_bomb_is_refused(tmp_path: Path, name: str) -> None:
    make, message = GLTF_BOMBS[name]
    path = tmp_path / "bomb.glb"
    path.write_bytes(make())
    assert_refused(path, message)


def assert_refused(path: Path, message: str) -> None:
    with within_bounds(), pytest.raises(MeshFileError, match=message) as error:
        import_head(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < len(str(path)) + 250


def separate_triangles() -> str:
    """Return triangles that do not touch."""
    places = np.random.default_rng(0).uniform(-0.1, 0.1, (60_000, 3))
    rows = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in places]
    return "\n".join(rows + [f"f {i} {i + 1} {i + 2}" for i in range(1, 60_000, 3)])


def separate_tetrahedra(count: int, side: float) -> str:
    """Return closed tetrahedra that do not touch, as large as eyeballs."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) * side
    places = np.random.default_rng(0).uniform(-0.1, 0.1, (count, 1, 3))
    rows = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in (places + corners).reshape(-1, 3)]
    sides = ((1, 3, 2), (1, 2, 4), (1, 4, 3), (2, 3, 4))
    faces = [f"f {4 * i + a} {4 * i + b} {4 * i + c}" for i in range(count) for a, b, c in sides]
    return "\n".join(rows + faces)


def plate_with_holes(count: int) -> str:
    """Return a bent plate with many equal square holes."""
    across = 2 * count + 1
    rows = [
        f"v {0.002 * x} {0.002 * y} {1e-5 * x * x}" for y in range(across) for x in range(across)
    ]
    for y in range(across - 1):
        for x in range(across - 1):
            if not (x % 2 and y % 2):
                a, b = y * across + x + 1, (y + 1) * across + x + 1
                rows.append(f"f {a} {a + 1} {b + 1} {b}")
    return "\n".join(rows)


CORNERS = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
OBJ_BOMBS: dict[str, tuple[Callable[[], str], str]] = {
    "index": (lambda: f"{CORNERS}f 1 2 {10**20}", "too big"),
    "digits": (lambda: f"{CORNERS}f 1 2 {'1' * 5000}", "4300 digits"),
    "long line": (lambda: f"{CORNERS}f 1 2 {'1' * 10**7}", "lines of less than 65536 characters"),
    "polygon": (lambda: f"{CORNERS}f {'1 ' * 5000}", "polygons of at most 1000 corners"),
    "fans": (lambda: CORNERS + f"f {'1 ' * 1000}\n" * 510, "at most 500000 triangles"),
    "vertices": (lambda: "v 0 0 0\n" * 251_000, "at most 250000 vertices"),
    "coordinates": (lambda: CORNERS + "vt 0 0\n" * 501_000, "at most 500000 texture coord"),
    "parts": (lambda: CORNERS + "".join(f"g {i}\nf 1 2 3\n" for i in range(10_001)), "parts: join"),
    "not a number": (lambda: "v nan 0 0\nv 1 inf 0\nv 0 1 0\nf 1 2 3\n", "within 1e"),
    "nothing": (lambda: "", "it has no vertices"),
    "short rows": (lambda: "v 1 2\n", "v has 2 numbers"),
    "soup": (separate_triangles, "60000 edges of one triangle only: merge vertices by distance"),
    "pieces": (lambda: separate_tetrahedra(10_000, 0.02), "cannot find the eyes"),
    "flat": (lambda: CORNERS + "f 1 2 3\n", "a mesh that is flat: 1 x 1 x 0 units"),
    "windows": (lambda: plate_with_holes(40), "cannot find the eyes"),
}


@pytest.mark.alone  # limits its processor time, which may double beside other tests
@pytest.mark.parametrize("name", OBJ_BOMBS)
def test_an_obj_bomb_is_refused(tmp_path: Path, name: str) -> None:
    make, message = OBJ_BOMBS[name]
    path = tmp_path / "bomb.obj"
    path.write_text(make())
    assert_refused(path, message)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.obj"
    path.write_bytes(bytes(range(256)) * 400)
    assert_refused(path, "it has no vertices")
