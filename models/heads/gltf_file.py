"""Opens glTF 2.0 files: the JSON document and the bytes of its buffer views.

A `.glb` file holds both. The buffers of a `.gltf` file are data URIs, or files of its folder.
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from models.contract.shown_text import reason, shown

MAX_BYTES = 256 * 2**20
"""Maximum size of a file and its buffers together; the heads of scanners have tens of megabytes."""
_MAX_JSON_BYTES = 64 * 2**20
"""Maximum size of the document, which can hold its buffers."""
_MAX_JSON_VALUES = 1_000_000
"""Maximum number of values in the document: each needs some 100 bytes as a Python object. Heads
have some thousands."""
_MAX_NUMBER = 2**53
"""Integers that JSON of other programs holds without loss; longer ones would fill a message."""
_GLB_HEADER, _CHUNK_HEADER = struct.Struct("<4sII"), struct.Struct("<I4s")
"""Magic, version and length of a `.glb` file; length and kind of each chunk."""
_GLB_START = struct.pack("<4sI", b"glTF", 2)
_START_BYTES = 1024
"""Bytes among which a document begins, after marks and spaces."""
_SHOWN_NAME = 60
"""Characters of a name that a message shows."""
_DATA = "data:"
_DECODE = "npx @gltf-transform/cli copy IN OUT"
_BEFORE_JSON = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
"""Bytes that can stand in front of a document: byte order marks, spaces."""
_ADVICE = {
    "KHR_draco_mesh_compression": f"decompress it, for example by {_DECODE}",
    "EXT_meshopt_compression": f"decompress it, for example by {_DECODE}",
    "KHR_meshopt_compression": f"decompress it, for example by {_DECODE}",
    "KHR_texture_basisu": "save its textures as PNG or JPEG, for example by "
    "npx @gltf-transform/cli ktxdecompress IN OUT",
}


class MeshFileError(ValueError):
    """A mesh file is unreadable, or its mesh cannot be a head."""


def not_supported(extension: object) -> MeshFileError:
    """Return the error for an extension that a file needs, with what to do about it."""
    name = shown(extension, _SHOWN_NAME)
    return MeshFileError(f"it needs {name}: {_ADVICE.get(name, 'save it without this extension')}")


class GltfFile:
    """A document and its buffers.

    Args:
        document: The JSON document.
        binary: The binary chunk of a `.glb` file.
        folder: Where buffers of a `.gltf` file may lie; None for a `.glb` file.
    """

    def __init__(self, document: dict[str, Any], binary: memoryview, folder: Path | None) -> None:
        self.document = document
        self._binary, self._folder = binary, folder
        self._buffers: dict[int, memoryview] = {}
        self._left = MAX_BYTES

    def item(self, kind: str, index: object) -> dict[str, Any]:
        """Return a member of one of the document's lists, such as a mesh.

        Raises:
            MeshFileError: If the list does not have it.
        """
        items, number = self.document.get(kind) or [], whole(index, f"number of one of its {kind}")
        if not isinstance(items, list) or number >= len(items):
            raise MeshFileError(f"it refers to {kind} {number}, which it does not hold")
        if not isinstance(items[number], dict):
            raise MeshFileError(f"{kind} {number}: expected an object, got {shown(items[number])}")
        return dict(items[number])

    def view(self, index: int) -> memoryview:
        """Return the bytes of a buffer view.

        Raises:
            MeshFileError: If it is not inside its buffer, is compressed, or its buffer is missing.
        """
        view = self.item("bufferViews", index)
        for name in view.get("extensions") or ():
            if "meshopt" in name:
                raise not_supported(name)
        data = self._buffer(view.get("buffer", 0))
        start = whole(view.get("byteOffset", 0), f"byteOffset of buffer view {index}")
        length = whole(view["byteLength"], f"byteLength of buffer view {index}")
        if start + length > len(data):
            raise MeshFileError(f"buffer view {index} ends after its buffer of {len(data)} bytes")
        return data[start : start + length]

    def image(self, described: dict[str, Any]) -> memoryview | None:
        """Return the bytes of an image file; None where a `.glb` file names another file."""
        if "bufferView" in described:
            return self.view(described["bufferView"])
        uri = str(described["uri"])
        return None if self._is_outside(uri) else self._load(uri)

    def _buffer(self, index: int) -> memoryview:
        if index not in self._buffers:
            uri = self.item("buffers", index).get("uri")
            if uri is not None and self._is_outside(str(uri)):
                raise MeshFileError("it refers to other files: save everything into one GLB")
            self._buffers[index] = self._binary if uri is None else self._load(str(uri))
        return self._buffers[index]

    def _is_outside(self, uri: str) -> bool:
        return self._folder is None and not _is_data(uri)

    def _load(self, uri: str) -> memoryview:
        """Return a data URI's bytes, or those of a file inside the folder."""
        data = _data(uri) if _is_data(uri) else self._read(uri)
        self._left -= len(data)
        if self._left < 0:
            raise MeshFileError(f"expected buffers of at most {MAX_BYTES >> 20} MB together")
        return memoryview(data)

    def _read(self, uri: str) -> bytes:
        assert self._folder is not None
        folder = self._folder.resolve()
        # Exporters leave names as they are, though a URI has them quoted, and write Windows' paths.
        names = (unquote(uri), uri, unquote(uri).replace("\\", "/"))
        paths = [(folder / name).resolve() for name in names if name.isprintable()]
        path = next((p for p in paths if p.is_relative_to(folder) and p.is_file()), None)
        if path is None:
            raise MeshFileError(f"expected {shown(uri, _SHOWN_NAME)!r} as a file inside its folder")
        if path.stat().st_size > self._left:
            raise MeshFileError(f"expected buffers of at most {MAX_BYTES >> 20} MB together")
        return path.read_bytes()


def read_gltf_file(path: Path) -> GltfFile:
    """Open a `.glb` or `.gltf` file; its first bytes tell which of them it is.

    Raises:
        MeshFileError: If it is no glTF 2.0 file or too large.
        OSError: If it cannot be read.
    """
    if path.stat().st_size > MAX_BYTES:
        raise MeshFileError(f"expected at most {MAX_BYTES >> 20} MB")
    data = path.read_bytes()
    if data[:_START_BYTES].lstrip(_BEFORE_JSON)[:1] == b"{":
        return GltfFile(_parse(data), memoryview(b""), path.parent)
    least = _GLB_HEADER.size + _CHUNK_HEADER.size
    if len(data) < least or not data.startswith(_GLB_START):
        raise MeshFileError("not a readable GLB file: expected a binary glTF 2.0 file")
    chunks: dict[bytes, memoryview] = {}
    offset = _GLB_HEADER.size
    while offset + _CHUNK_HEADER.size <= len(data):
        length, kind = _CHUNK_HEADER.unpack_from(data, offset)
        start = offset + _CHUNK_HEADER.size
        offset = start + length
        if kind == b"JSON" and offset > len(data):
            raise MeshFileError("its JSON chunk ends after the file")
        # Of several chunks of a kind the first one counts.
        chunks.setdefault(kind, memoryview(data)[start:offset])
    if b"JSON" not in chunks:
        raise MeshFileError("expected a JSON chunk, got none")
    document = _parse(bytes(chunks[b"JSON"]).rstrip(b"\0"))  # padded with spaces, by some with NUL
    return GltfFile(document, chunks.get(b"BIN\0", memoryview(b"")), None)


def whole(value: Any, name: str) -> int:
    """Return a number of the file that must be whole and not negative."""
    if isinstance(value, float) and value.is_integer():  # 3.0 is whole in JSON
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MAX_NUMBER:
        raise MeshFileError(f"{name}: expected a whole number from 0, got {shown(value)}")
    return value


def _is_data(uri: str) -> bool:
    return uri[: len(_DATA)].lower() == _DATA


def _data(uri: str) -> bytes:
    """Return the bytes of a data URI (RFC 2397): base64, or characters and `%` with two digits."""
    kind, comma, text = uri[len(_DATA) :].partition(",")
    if not comma:
        raise MeshFileError(f"a data URI has no comma: {shown(uri)}")
    if not kind.rstrip().lower().endswith("base64") and "%" in text:
        return unquote_to_bytes(text)
    # Some programs wrap the lines, quote `+` and `/`, or leave out the padding.
    plain = b"".join(unquote_to_bytes(text).split())
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except ValueError as exc:
        raise MeshFileError(f"a data URI is no base64: {shown(exc)}") from exc


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > _MAX_JSON_BYTES:
        raise MeshFileError(f"expected JSON of at most {_MAX_JSON_BYTES >> 20} MB")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > _MAX_JSON_VALUES:
        raise MeshFileError(f"expected JSON of at most {_MAX_JSON_VALUES} values")
    try:
        document = json.loads(data)
    except UnicodeDecodeError as exc:
        raise MeshFileError(f"its JSON is no UTF-8: {exc.reason} at byte {exc.start}") from exc
    except ValueError as exc:
        raise MeshFileError(f"its JSON is broken: {reason(exc)}") from exc
    except RecursionError:
        raise MeshFileError("its JSON is nested too deeply") from None
    if not isinstance(document, dict):
        raise MeshFileError(f"expected a JSON object, got {type(document).__name__}")
    return document
