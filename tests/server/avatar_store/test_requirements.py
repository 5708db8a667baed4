"""Missing requirements of an installation for making avatars from videos."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from server.avatar_store.requirements import missing_requirements


def test_a_development_installation_has_all_requirements() -> None:
    assert missing_requirements("video") is None
    assert missing_requirements("archive") is None


def test_a_server_without_the_scripts_accepts_archives_only(tmp_path: Path) -> None:
    assert missing_requirements("archive", tmp_path) is None
    reason = missing_requirements("video", tmp_path)
    assert reason is not None
    assert "expected scripts/make_avatar.py beside it, got no such file" in reason


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "server.avatar_store.requirements.find_spec",
        lambda name: None if name in ("mediapipe", "cv2") else find_spec(name),
    )
    reason = missing_requirements("video")
    assert reason is not None
    assert "expected mediapipe, cv2 to be installed: pip install '.[capture,training]'" in reason
