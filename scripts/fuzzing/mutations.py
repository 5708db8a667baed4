"""Mutates files at random: their bytes, their words, and the values inside their structure."""

from __future__ import annotations

import copy
import io
import json
import pickletools
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

_NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 3, 255, 65535, 2**31 - 1, 2**31, 2**32, 2**62, 10**12, 10**30, 10**4000),
    *(0.5, -0.0, 1e-30, 1e30, 1e308, float("nan"), float("inf"), float("-inf")),
)
_VALUES: tuple[Any, ...] = (*_NUMBERS, None, True, "", "x", "\x1b[31m\n\0", [], {}, [0], {"a": 0})
_WORDS = (
    *("0", "-1", "1e999", "nan", "inf", "99999999999", "1" * 5000, "", ";", '"', "\t", "\n"),
    *("\ufeff", "v", "vt", "f", "1/1/1", "//", "usemtl", "jawOpen", "Timecode", "00:00:00:59.999"),
)
_MAGIC = (b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"PK\3\4", b"\x93NUMPY", b".")


def mutate(data: bytes, suffix: str, random: Random) -> bytes:
    """Return changed content of a file.

    Args:
        data: The file.
        suffix: Its suffix, which determines its structure.
        random: Random generator of the mutation.
    """
    inside = _STRUCTURES.get(suffix)
    # Mostly inside the structure: changed bytes of a compressed file do not pass its checksums.
    if inside is not None and random.random() < 0.8:
        data = inside(data, random)
    if inside is None or random.random() < 0.3:
        data = _bytes(data, random)
    return data


def _bytes(data: bytes, random: Random) -> bytes:
    """Change, cut, repeat or insert bytes."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        at = random.randrange(len(changed) + 1)
        end = min(len(changed), at + random.choice((1, 4, 16, 256)))
        match random.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at:end] = random.choice(_MAGIC)
            case 2:
                del changed[at:end]
            case 3:
                changed[at:at] = changed[at:end] * random.choice((1, 2, 50))
            case 4:
                changed[at:at] = random.randbytes(random.choice((1, 4, 64)))
            # Seldom, because the rest of the file remains unread.
            case _ if random.random() < 0.2:
                del changed[at:]
    return bytes(changed)


def _words(data: bytes, random: Random) -> bytes:
    """Change the words and lines of a text."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(random.choice((1, 2, 8))):
        at = random.randrange(len(lines))
        match random.randrange(4):
            case 0:
                lines[at] = lines[random.randrange(len(lines))]
            case 1 if len(lines) > 1:
                del lines[at]
            case _:
                mark = random.choice((" ", ",", "/"))
                words = lines[at].split(mark)
                words[random.randrange(len(words))] = random.choice(_WORDS)
                lines[at] = mark.join(words)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _tree(value: Any, random: Random) -> Any:
    """Change a value of a tree of lists and dictionaries: replace, remove, move or repeat it."""
    tree = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 2, 4))):
        owners = [node for node in _owners(tree) if len(node)]
        if not owners:
            return random.choice(_VALUES)
        # Small containers have the fields that describe the large ones.
        owner = min(random.sample(owners, min(3, len(owners))), key=len)
        keys = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
        key, other = random.choice(keys), random.choice(keys)
        match random.randrange(6):
            case 0:
                del owner[key]
            case 1:
                owner[key] = copy.deepcopy(owner[other])
            case 2 if isinstance(owner, list):
                owner.extend(copy.deepcopy(owner[key]) for _ in range(random.choice((1, 3, 300))))
            case 3 if isinstance(owner[key], int | float):
                owner[key] = random.choice((*_NUMBERS, owner[key] + 1, -owner[key]))
            case _:
                owner[key] = random.choice(_VALUES)
    return tree


def _owners(tree: Any) -> list[Any]:
    found: list[Any] = []
    waiting = [tree]
    while waiting and len(found) < 5000:
        node = waiting.pop()
        if isinstance(node, dict | list):
            found.append(node)
            waiting += node.values() if isinstance(node, dict) else node
    return found


def _json(data: bytes, random: Random) -> bytes:
    try:
        return json.dumps(_tree(json.loads(data), random)).encode()
    except ValueError:
        return _words(data, random)


def _glb(data: bytes, random: Random) -> bytes:
    """Change the JSON of a GLB file, or its binary chunk; the lengths of both stay right."""
    if len(data) < 28:
        return _bytes(data, random)
    length = struct.unpack_from("<I", data, 12)[0]
    text, rest = data[20 : 20 + length], data[28 + length :]
    if random.random() < 0.85:
        text = _json(text, random)
    else:
        rest = _bytes(rest, random)
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(rest), b"BIN\0") + rest
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _npz(data: bytes, random: Random) -> bytes:
    """Change the arrays of an npz file: their types, shapes and values, or their names."""
    try:
        with np.load(io.BytesIO(data)) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception:  # of a file that was broken before
        return _bytes(data, random)
    name, other = random.choice(list(arrays)), random.choice(list(arrays))
    match random.randrange(6):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = arrays[other]
        case 2:
            kinds = ("f8", "f4", "i8", "u1", "?", "U3", "c16", "M8[s]", "S0")
            shape = tuple(random.choice((0, 1, 3, 7)) for _ in range(random.randrange(4)))
            arrays[name] = np.zeros(shape, random.choice(kinds))
        case 3 if arrays[name].size and arrays[name].dtype.kind in "fiu":
            flat = arrays[name].reshape(-1).copy()
            with np.errstate(all="ignore"):
                number = random.choice([n for n in _NUMBERS if not abs(n) > 1e300])
                changed = np.float64(number).astype(flat.dtype)
            flat[random.randrange(flat.size)] = changed
            arrays[name] = flat.reshape(arrays[name].shape)
        case 4:
            arrays[name] = arrays[name][..., None]
        case _:
            arrays[name] = arrays[name].reshape(-1)[:-1]
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _pickle(data: bytes, random: Random) -> bytes:
    """Change, remove, repeat or insert an instruction of a pickle."""
    try:
        starts = [at for _, _, at in pickletools.genops(data) if at is not None]
    except Exception:  # of a file that was broken before
        return _bytes(data, random)
    number = random.randrange(len(starts))
    at, end = starts[number], (*starts, len(data))[number + 1]
    code = random.choice(pickletools.opcodes).code.encode("latin1")
    match random.randrange(5):
        case 0:
            return data[:at] + code + data[at + 1 :]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:end] + data[at:end] * random.choice((1, 3, 1000)) + data[end:]
        case 3:
            return data[:at] + code + random.choice(_MAGIC) + data[at:]
        case _:
            return data[: at + 1] + random.choice(_MAGIC) + data[at + 5 :]


def _records(data: bytes, random: Random) -> bytes:
    """Change one record of a zip file, as torch writes them; the archive stays whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # of a file that was broken before
        return _bytes(data, random)
    name = random.choice([n for n in records if Path(n).suffix == ".pkl"] or list(records))
    change = _pickle if Path(name).suffix == ".pkl" else _bytes
    records[name] = change(records[name], random)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for record, content in records.items():
            archive.writestr(record, content)
    return out.getvalue()


_STRUCTURES: dict[str, Callable[[bytes, Random], bytes]] = {
    ".glb": _glb,
    ".gltf": _json,
    ".json": _json,
    ".txt": _json,
    ".obj": _words,
    ".csv": _words,
    ".npz": _npz,
    ".pkl": _pickle,
    ".tar": _records,
}
