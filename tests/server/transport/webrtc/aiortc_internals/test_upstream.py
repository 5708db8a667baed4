"""Checks of upstream attributes fail and name the attribute; every patch has some."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import server.transport.webrtc.aiortc_internals as patches
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)


class Upstream:
    """Stands in for a class of aiortc."""

    count = 3

    def send(self, data: bytes) -> None:
        """Do nothing."""


def test_unchanged_attributes_pass() -> None:
    assert_signature(Upstream, "send", ("self", "data"))
    assert_signature(Upstream(), "send", ("data",))
    assert_attribute(Upstream, "count", int)


def test_a_removed_method_is_named() -> None:
    with pytest.raises(AssertionError, match=r"expected upstream to have Upstream\._send, got"):
        assert_signature(Upstream, "_send", ("self", "data"))


def test_a_changed_signature_is_named() -> None:
    with pytest.raises(AssertionError, match=r"expected Upstream\.send to take .*'more'"):
        assert_signature(Upstream, "send", ("self", "data", "more"))


def test_a_method_that_became_async_is_named() -> None:
    with pytest.raises(AssertionError, match=r"expected Upstream\.send to be async"):
        assert_signature(Upstream, "send", ("self", "data"), is_async=True)


def test_a_removed_or_changed_attribute_is_named() -> None:
    with pytest.raises(AssertionError, match=r"expected upstream to have Upstream\._count, got"):
        assert_attribute(Upstream, "_count", int)
    with pytest.raises(AssertionError, match=r"expected Upstream\.count to be str, got int"):
        assert_attribute(Upstream, "count", str)


PATCHES = sorted(Path(patches.__path__[0]).glob("[!_]*.py"))


def test_the_patches_are_found() -> None:
    assert {"playout_delay", "sctp_limits"} <= {path.stem for path in PATCHES}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.stem)
def test_every_patch_has_a_test_that_fails_when_upstream_changes(patch: Path) -> None:
    test = Path(__file__).with_name(f"test_{patch.stem}.py")
    assert test.exists()
    assert re.search(r"\bassert_(?:signature|attribute)\(", test.read_text())
