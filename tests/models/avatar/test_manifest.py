"""The part of a manifest that describes a real person."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.avatar.folder import Avatar, save_avatar
from models.avatar.manifest import AvatarError, load_manifest
from models.contract.avatar_info import Subject

Build = Callable[..., Avatar]

ADA = Subject(
    name="Ada",
    consent="I agree that my avatar is made and shown on this server.",
    origin="me.mp4 (sha256 0123456789ab)",
    created="2026-11-29",
)


def test_the_consent_of_a_real_person_is_kept_with_the_avatar(
    build_avatar: Build, tmp_path: Path
) -> None:
    drawn = build_avatar("live")
    avatar = replace(drawn, manifest=replace(drawn.manifest, subject=ADA))
    save_avatar(tmp_path, avatar)
    assert load_manifest(tmp_path).subject == ADA


def test_an_avatar_of_no_real_person_has_no_subject(build_avatar: Build, tmp_path: Path) -> None:
    save_avatar(tmp_path, build_avatar("live"))
    path = tmp_path / "manifest.json"
    values = json.loads(path.read_text())
    assert load_manifest(tmp_path).subject is None
    del values["subject"]  # as in folders written before the field existed
    path.write_text(json.dumps(values))
    assert load_manifest(tmp_path).subject is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"consent": " "}, "subject.consent must be a text"),
        ({"name": 3}, "subject.name must be a text"),
        ({"created": "yesterday"}, "isoformat"),
        ({"age": "41"}, "subject must have the fields consent, created, name, origin"),
    ],
)
def test_an_incomplete_subject_is_refused(
    build_avatar: Build, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    save_avatar(tmp_path, build_avatar("live"))
    path = tmp_path / "manifest.json"
    person = {name: getattr(ADA, name) for name in ("name", "consent", "origin", "created")}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"subject": person | change}))
    with pytest.raises(AvatarError, match=message):
        load_manifest(tmp_path)
