"""Packing and unpacking avatar archives; hostile archives are refused with the reason."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.avatar.archive import INDEX, LARGEST, check_avatar, pack_avatar, unpack_avatar
from models.avatar.folder import SHIPPED, load_avatar
from models.avatar.manifest import AvatarError

NAMES = ("manifest.json", "head.npz", "weights.safetensors", "background.png", "ORIGIN.md")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the shipped avatar `default`."""
    archive = tmp_path_factory.mktemp("archive") / "default.telewarp"
    pack_avatar(SHIPPED / "default", archive)
    return archive


def entries(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def indexed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with an index of their actual sizes and hashes."""
    plain = {name: data for name, data in files.items() if name != INDEX}
    index = {
        "format": "telewarp-avatar",
        "version": 1,
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in plain.items()
        },
    }
    return {INDEX: json.dumps(index).encode(), **plain}


def write(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


def small() -> dict[str, bytes]:
    """Return the files of an archive that can be unpacked, but not loaded."""
    return indexed({name: name.encode() for name in NAMES})


def test_an_unpacked_avatar_equals_the_packed_one_to_the_bit(packed: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    unpack_avatar(packed, tmp_path / "me", seen.append)
    assert sorted(path.name for path in (tmp_path / "me").iterdir()) == sorted(NAMES)
    for name in NAMES:
        assert (tmp_path / "me" / name).read_bytes() == (SHIPPED / "default" / name).read_bytes()
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert check_avatar(tmp_path / "me").id == "default"
    assert packed.stat().st_size < 10e6


def test_the_index_states_size_and_hash_of_each_file(packed: Path) -> None:
    files = entries(packed)
    index = json.loads(files.pop(INDEX))
    assert (index["format"], index["version"], set(index["files"])) == (
        "telewarp-avatar",
        1,
        set(NAMES),
    )
    for name, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        assert index["files"][name] == {"bytes": len(data), "sha256": digest}


def symbolic_link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as opened:
        for name, data in small().items():
            entry = zipfile.ZipInfo(name)
            kind = stat.S_IFLNK if name == "background.png" else stat.S_IFREG
            entry.external_attr = (kind | 0o644) << 16
            opened.writestr(entry, b"/etc/passwd" if kind == stat.S_IFLNK else data)


def duplicate_entry(path: Path) -> None:
    write(path, small())
    with zipfile.ZipFile(path, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("head.npz", b"other")


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in small().items():
            opened.writestr(name, bytes(LARGEST[name] + 1) if name == "ORIGIN.md" else data)


def wrong_size(path: Path) -> None:
    """Write an entry that unpacks to more bytes than its header and the index state."""
    files = small()
    data = bytearray(write(path, files | {"ORIGIN.md": bytes(100_000)}).read_bytes())
    size = (100_000).to_bytes(4, "little")
    for at in (data.find(size), data.rfind(size)):
        data[at : at + 4] = len(files["ORIGIN.md"]).to_bytes(4, "little")
    path.write_bytes(data)


def large_directory(path: Path) -> None:
    write(path, small() | {f"{index:080d}": b"" for index in range(500)})


def encrypted(path: Path) -> None:
    data = bytearray(write(path, small()).read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def changed(**files: bytes) -> Callable[[Path], object]:
    named = {name.replace("__", "/").replace("_", "."): data for name, data in files.items()}
    return lambda path: write(path, small() | named)


def without(name: str) -> Callable[[Path], object]:
    return lambda path: write(path, {n: data for n, data in small().items() if n != name})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "shorter file than the smallest"),
        (lambda path: path.write_bytes(b"\x89PNG" * 99), "expected a zip file without a comment"),
        (lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)), "the archive lacks archive"),
        (without(INDEX), "the archive lacks archive.json"),
        (without("weights.safetensors"), "the archive lacks weights.safetensors"),
        (without("ORIGIN.md"), "expected the files ORIGIN.md, .* as in archive.json"),
        (changed(head_npz=b"HEAD.NPZ"), "head.npz does not match its sha256"),
        (changed(head_npz=b"head.np"), "head.npz must have 8 bytes"),
        (changed(head_npz=b"head.npz."), "head.npz must have 8 bytes"),
        (changed(archive_json=b"[" * 60_000), "archive.json is not readable"),
        (changed(archive_json=b'{"format": "telewarp-avatar", "version": 2}'), "expected telewarp"),
        (lambda path: write(path, small() | {"../evil.py": b"x"}), "expected only .*evil.py"),
        (lambda path: write(path, small() | {"/etc/cron.d/x": b"x"}), "expected only .*cron"),
        (lambda path: write(path, small() | {"a/": b""}), "expected only"),
        (lambda path: write(path, small() | {"weights.pkl": b"x"}), "expected only .*pkl"),
        (symbolic_link, "background.png must be a plain file"),
        (duplicate_entry, "head.npz is in the archive twice"),
        (bomb, "ORIGIN.md must have at most"),
        (wrong_size, "damaged|another size"),
        (large_directory, "larger zip directory"),
        (encrypted, "ORIGIN.md must not be encrypted"),
    ],
)
def test_a_hostile_archive_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "bad.zip")
    with pytest.raises(AvatarError, match=reason):
        unpack_avatar(tmp_path / "bad.zip", tmp_path / "out" / "me")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.parent for path in written} <= {tmp_path, tmp_path / "out" / "me"}


@pytest.mark.parametrize("cut", [0.01, 0.5, 0.999])
def test_a_truncated_archive_is_refused(packed: Path, tmp_path: Path, cut: float) -> None:
    data = packed.read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: round(len(data) * cut)])
    with pytest.raises(AvatarError, match="expected a zip file"):
        unpack_avatar(tmp_path / "cut.zip", tmp_path / "me")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped avatar `default`."""
    copy = tmp_path / "copy"
    shutil.copytree(SHIPPED / "default", copy)
    return copy


def change_manifest(folder: Path, **values: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    network = values.pop("network", {})
    path.write_text(
        json.dumps({**manifest, **values, "network": {**manifest["network"], **network}})
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"resolution": 1 << 20}, "resolution must be .* at most 2048, got 1048576"),
        ({"network": {"network_size": 1e9}}, "network_size must be"),
        ({"network": {"network_size": float("nan")}}, "network_size must be"),
        ({"network": {"texture_levels": 10**9}}, "texture_levels must be"),
        ({"network": {"texture_size": -1}}, "texture_size must be"),
        ({"network": {"texture_channels": "many"}}, "texture_channels must be"),
        ({"network": {"surprise": 1}}, "surprise"),
    ],
)
def test_manifest_values_out_of_range_are_refused(
    folder: Path, values: dict[str, Any], reason: str
) -> None:
    change_manifest(folder, **values)
    with pytest.raises(AvatarError, match=reason):
        check_avatar(folder)


def test_weights_of_other_shapes_are_refused(folder: Path) -> None:
    change_manifest(folder, network={"network_size": 0.5})
    check_avatar(folder)
    with pytest.raises(AvatarError, match=r"weights\.safetensors does not fit"):
        load_avatar(folder)


def test_weights_too_small_for_the_textures_are_refused_before_allocation(
    folder: Path,
) -> None:
    change_manifest(folder, network={"feature_size": 4096, "texture_channels": 64})
    with pytest.raises(AvatarError, match="must hold 1073741824 texels of 2 bytes, got 6868118"):
        check_avatar(folder)


def npz_with_shape(shape: str) -> bytes:
    """Return an npz file whose header states `shape` for an array of 123456 bytes."""
    file = io.BytesIO()
    np.savez(file, neutral=np.zeros(123_456, np.uint8))
    return file.getvalue().replace(b"(123456,)", shape.encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no zip file at all, but a text", "head.npz is not|zip"),
        (npz_with_shape("(999999,)"), "is not as long as its shape says"),
    ],
)
def test_a_head_file_with_a_wrong_array_size_is_refused(
    folder: Path, data: bytes, reason: str
) -> None:
    (folder / "head.npz").write_bytes(data)
    with pytest.raises(AvatarError, match=reason):
        check_avatar(folder)


def test_a_head_file_with_a_pickle_is_refused(folder: Path) -> None:
    np.savez(folder / "head.npz", neutral=np.array([{"code": 1}], dtype=object))
    with pytest.raises(AvatarError, match="must hold numbers, got a pickle"):
        check_avatar(folder)


def test_a_head_file_of_too_many_bytes_is_refused(folder: Path) -> None:
    with zipfile.ZipFile(folder / "head.npz", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("neutral.npy", bytes(1 << 20))
    data = (folder / "head.npz").read_bytes()
    claimed = data.replace((1 << 20).to_bytes(4, "little"), (1 << 30).to_bytes(4, "little"))
    (folder / "head.npz").write_bytes(claimed)
    with pytest.raises(AvatarError, match="at most 536870912 bytes of arrays, got 1073741824"):
        check_avatar(folder)


def test_a_background_of_too_many_pixels_is_refused(folder: Path) -> None:
    data = bytearray((folder / "background.png").read_bytes())
    data[16:24] = (5000).to_bytes(4, "big") * 2
    (folder / "background.png").write_bytes(data)
    with pytest.raises(AvatarError, match=r"background.png"):
        check_avatar(folder)
    (folder / "background.png").write_bytes(b"GIF89a" + bytes(99))
    with pytest.raises(AvatarError, match="not a readable PNG"):
        check_avatar(folder)
