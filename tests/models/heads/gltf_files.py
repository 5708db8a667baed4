"""Writes valid and invalid glTF files from their JSON."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

Json = dict[str, Any]
POSITIONS: Json = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}
TRIANGLE = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)


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
