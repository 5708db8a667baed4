"""Avatar archives: one file to transfer an avatar, checked before any part of it is loaded.

An archive is a zip file, its entries stored or deflated:

archive.json         {"format": "telewarp-avatar", "version": 1, "files": {NAME: {"bytes": N,
                     "sha256": "..."}}}: every other entry, with its size and hash
manifest.json, head.npz, weights.safetensors, background.png: the avatar's folder
ORIGIN.md            sources and licences, optional

Nothing else may be in it: no folders, links, encrypted or repeated entries. No file holds code; the
arrays of `head.npz` are read without pickle. The hashes find damage, they prove no sender.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from models.avatar.manifest import AvatarError, Manifest, load_manifest

FORMAT, VERSION = "telewarp-avatar", 1
INDEX = "archive.json"
LARGEST = {
    INDEX: 1 << 16,
    "manifest.json": 1 << 20,
    "head.npz": 1 << 28,
    "weights.safetensors": 1 << 30,
    "background.png": 1 << 26,
    "ORIGIN.md": 1 << 18,
}
"""Files of an archive and their largest sizes, bytes. The largest avatar that was trained has a
head of 2 MB and weights of 110 MB."""
REQUIRED = ("manifest.json", "head.npz", "weights.safetensors", "background.png")
_LARGEST_ARRAYS = 1 << 29
"""Bytes of all arrays of `head.npz` together."""
_LARGEST_SIDE = 2048
"""Pixels of a frame, and texels of a texture."""
_CHUNK = 1 << 20
_END = struct.Struct("<4s4H2LH")
"""End of central directory record of a zip file without a comment (APPNOTE 4.3.16)."""
_ZIP64 = b"PK\x06\x07"
_LARGEST_DIRECTORY = 1 << 14

Progress = Callable[[float], None]
"""Called with the finished fraction, 0..1."""


class ArchiveError(AvatarError):
    """A file is no avatar archive, or a damaged or dangerous one."""


def pack_avatar(folder: Path, archive: Path) -> None:
    """Write an archive of an avatar's folder; the file appears when it is complete.

    Raises:
        AvatarError: If the folder has no valid manifest, or lacks a file.
    """
    load_manifest(folder)
    names = [name for name in LARGEST if name != INDEX and (folder / name).is_file()]
    if missing := [name for name in REQUIRED if name not in names]:
        raise AvatarError(f"{folder} lacks {', '.join(missing)}")
    files = {name: _describe(folder / name) for name in names}
    part = archive.with_name(archive.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as opened:
            index = {"format": FORMAT, "version": VERSION, "files": files}
            opened.writestr(INDEX, json.dumps(index, indent=1))
            for name in names:
                # The others are compressed already.
                method = zipfile.ZIP_DEFLATED if name.endswith(("json", "md")) else None
                opened.write(folder / name, name, method or zipfile.ZIP_STORED)
        part.replace(archive)
    finally:
        part.unlink(missing_ok=True)


def unpack_avatar(archive: Path, folder: Path, progress: Progress = lambda fraction: None) -> None:
    """Check an archive and write its files to a folder.

    Only sizes, hashes and the limits of each file are checked: `check_avatar` does the rest.

    Args:
        archive: The zip file; not trusted.
        folder: Created; must not exist.
        progress: Called as the files are written.

    Raises:
        ArchiveError: If the file is no archive of an avatar; the message gives the reason. The
            folder may remain.
    """
    try:
        _check_directory(archive)
        with zipfile.ZipFile(archive) as opened:
            entries = _check_entries(opened.infolist())
            index = _read_index(opened, entries.pop(INDEX))
            if set(index) != set(entries):
                raise ArchiveError(
                    f"expected the files {', '.join(sorted(index))} as in {INDEX}, got "
                    f"{', '.join(sorted(entries))}"
                )
            folder.mkdir(parents=True)
            whole, done = sum(size for size, _ in index.values()), 0
            for name, (size, sha256) in index.items():
                with opened.open(entries[name]) as source:
                    _copy(source, folder / name, size, sha256)
                done += size
                progress(done / max(whole, 1))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, UnicodeError) as exc:
        raise ArchiveError(f"expected a zip file, got a damaged one: {exc}") from exc


def check_avatar(folder: Path) -> Manifest:
    """Check the files of a foreign avatar for what would take much memory or time to load.

    Raises:
        AvatarError: With the reason.
    """
    manifest = load_manifest(folder)
    network = manifest.network
    limits = {
        "resolution": (manifest.resolution, _LARGEST_SIDE),
        "texture_size": (network.texture_size, 2 * _LARGEST_SIDE),
        "feature_size": (network.feature_size, 2 * _LARGEST_SIDE),
        "texture_channels": (network.texture_channels, 64),
        "texture_levels": (network.texture_levels, 8),
        "network_size": (network.network_size, 4),
        "expressions": (network.expressions, 512),
    }
    for name, (value, largest) in limits.items():
        if not isinstance(value, int | float) or not 0 < value <= largest:
            raise AvatarError(f"{name} must be above 0 and at most {largest}, got {value!r}")
    side = network.feature_size if network.variant == "live" else network.texture_size
    texels = network.texture_channels * side**2
    if 2 * texels > (weights := (folder / "weights.safetensors").stat().st_size):
        raise AvatarError(
            f"weights.safetensors must hold {texels} texels of 2 bytes, got {weights} bytes"
        )
    _check_arrays(folder / "head.npz")
    _check_image(folder / "background.png")
    return manifest


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _check_directory(archive: Path) -> None:
    """Refuse a directory that would fill the memory before one of its entries can be checked."""
    with archive.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END.size - 20))
        tail = file.read()
    if len(tail) < _END.size:
        raise ArchiveError("expected a zip file, got a shorter file than the smallest one")
    mark, *_, directory_bytes, _, comment = _END.unpack(tail[-_END.size :])
    if mark != b"PK\x05\x06" or comment:
        raise ArchiveError("expected a zip file without a comment, got another file")
    if directory_bytes > _LARGEST_DIRECTORY or tail.startswith(_ZIP64):
        raise ArchiveError(f"expected at most {len(LARGEST)} files, got a larger zip directory")


def _check_entries(entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name if each is a plain file that an archive may hold."""
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.orig_filename
        if name not in LARGEST:
            raise ArchiveError(f"expected only {', '.join(LARGEST)}, got {name[:80]!r}")
        if name in found:
            raise ArchiveError(f"{name} is in the archive twice")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or entry.is_dir():
            raise ArchiveError(f"{name} must be a plain file, got a link or another kind")
        if entry.flag_bits & 0x1:
            raise ArchiveError(f"{name} must not be encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(f"{name} must be stored or deflated, got {entry.compress_type}")
        if entry.file_size > LARGEST[name]:
            raise ArchiveError(
                f"{name} must have at most {LARGEST[name]} bytes, got {entry.file_size}"
            )
        found[name] = entry
    if missing := [name for name in (INDEX, *REQUIRED) if name not in found]:
        raise ArchiveError(f"the archive lacks {', '.join(missing)}")
    return found


def _read_index(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> dict[str, tuple[int, str]]:
    """Return size and hash by file name."""
    with opened.open(entry) as file:
        text = file.read(LARGEST[INDEX] + 1)
    try:
        values = json.loads(text)
        if (values["format"], values["version"]) != (FORMAT, VERSION):
            raise ValueError(f"expected {FORMAT} {VERSION}")
        return {
            str(name): (int(file["bytes"]), str(file["sha256"]))
            for name, file in values["files"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise ArchiveError(f"{INDEX} is not readable: {exc}") from exc


def _copy(source: IO[bytes], target: Path, size: int, sha256: str) -> None:
    """Write `size` bytes of an entry to a new file, and compare their hash."""
    digest, left = hashlib.sha256(), size
    with target.open("xb") as file:  # never through an existing link
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            file.write(chunk)
    if left:
        raise ArchiveError(f"{target.name} must have {size} bytes as in {INDEX}, got another size")
    if digest.hexdigest() != sha256.lower():
        raise ArchiveError(f"{target.name} does not match its sha256 in {INDEX}: it is damaged")


def _check_arrays(path: Path) -> None:
    """Check the sizes that the arrays of an npz file claim, before numpy allocates them."""
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as opened:
            entries = opened.infolist()
            total = sum(entry.file_size for entry in entries)
            if total > _LARGEST_ARRAYS:
                raise AvatarError(
                    f"{path.name} must hold at most {_LARGEST_ARRAYS} bytes of arrays, got {total}"
                )
            for entry in entries:
                with opened.open(entry) as file:
                    _check_array(path.name, entry, file)
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError) as exc:
        raise AvatarError(f"{path.name} is not a readable head file: {exc}") from exc
    except (zipfile.BadZipFile, zlib.error) as exc:
        raise AvatarError(f"{path.name} is not a readable head file: {exc}") from exc


def _check_array(file_name: str, entry: zipfile.ZipInfo, file: IO[bytes]) -> None:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise AvatarError(f"{file_name}: {entry.filename[:80]} must hold numbers, got a pickle")
    if math.prod(shape) * dtype.itemsize != entry.file_size - file.tell():
        raise AvatarError(f"{file_name}: {entry.filename[:80]} is not as long as its shape says")


def _check_image(path: Path) -> None:
    """Check the size of a PNG before its pixels are decoded."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            side = max(image.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise AvatarError(f"{path.name} is not a readable PNG file: {exc}") from exc
    if side > 2 * _LARGEST_SIDE:
        raise AvatarError(f"{path.name} must have at most {2 * _LARGEST_SIDE} pixels a side")
