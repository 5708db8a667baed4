"""Writes valid and invalid glTF files from their JSON, and reads them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.heads.glb import Primitive, read_glb

Json = dict[str, Any]
POSITIONS: Json = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}
TRIANGLE = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
CORNERS = np.frombuffer(TRIANGLE, "<f4").reshape(3, 3)
MOVED = CORNERS + 5
UVS = np.array([[0, 0], [1, 0], [0, 1]], "<f4").tobytes()


def glb(document: Json | bytes, binary: bytes = b"") -> bytes:
    """Return a GLB file of a document."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def triangle(binary: bytes = TRIANGLE, **parts: Any) -> Json:
    """Return the document of one triangle; `parts` replace its members."""
    return {
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [POSITIONS],
        "bufferViews": [{"buffer": 0, "byteLength": len(binary)}],
        "buffers": [{"byteLength": len(binary)}],
        **parts,
    }


def write_triangle(path: Path, binary: bytes = TRIANGLE, **parts: Any) -> Path:
    """Write a GLB file of one triangle, with other members."""
    path.write_bytes(glb(triangle(binary, **parts), binary))
    return path


def png(width: int, height: int) -> bytes:
    """Return a PNG file whose header states a size that its data does not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6)))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def read(path: Path, document: Json, *parts: bytes) -> Primitive:
    """Write a file whose buffer views are `parts`, and read its only primitive."""
    views: list[Json] = []
    binary = b""
    for part in parts:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(part)})
        binary += part + b"\0" * (-len(part) % 4)
    document = {**document, "bufferViews": views, "buffers": [{"byteLength": len(binary)}]}
    path.write_bytes(glb(document, binary))
    (primitive,) = read_glb(path)
    return primitive


def with_targets(
    mesh: Json | None = None, primitive: Json | None = None, accessor: Json | None = None
) -> Json:
    """Return a triangle with a morph target, and further members that may hold its name."""
    target = {"attributes": {"POSITION": 0}, "targets": [{"POSITION": 1}]}
    return triangle(
        meshes=[{"primitives": [target | (primitive or {})]} | (mesh or {})],
        accessors=[POSITIONS, POSITIONS | {"bufferView": 1} | (accessor or {})],
    )


def textured(texture: Json, **parts: Any) -> Json:
    """Return a triangle whose material has a texture with these members."""
    attributes = {"POSITION": 0, "TEXCOORD_0": 1}
    return triangle(
        meshes=[{"primitives": [{"attributes": attributes, "material": 0}]}],
        materials=[{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, **texture}}}],
        accessors=[POSITIONS, POSITIONS | {"bufferView": 1, "type": "VEC2"}],
        **parts,
    )


def encoded(kind: str) -> bytes:
    """Return a small image file of a format of Pillow's."""
    out = io.BytesIO()
    Image.new("RGB", (4, 2), (200, 10, 10)).save(out, kind)
    return out.getvalue()
