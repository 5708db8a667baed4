"""Avatars at other sizes than they ship in, and states of a moving viewer to draw them in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import sin
from pathlib import Path

import numpy as np

from models.avatar.folder import Avatar, load_avatar
from models.avatar.manifest import Manifest
from models.contract.frame_state import FrameState, neutral_state

_KEPT = ("head.npz", "weights.safetensors", "background.png")
_SWAY_M = 0.12


@contextmanager
def resized(avatars: Path, size: int | None) -> Iterator[Path]:
    """A folder of the same avatars, drawn at `size` x `size`; itself where `size` is None."""
    if size is None:
        yield avatars
        return
    with tempfile.TemporaryDirectory() as name:
        for manifest in avatars.glob("*/manifest.json"):
            _resize(manifest.parent, Path(name) / manifest.parent.name, size)
        yield Path(name)


def load_resized(folder: Path, size: int) -> Avatar:
    """Load one avatar, to be drawn at `size` x `size`."""
    with tempfile.TemporaryDirectory() as name:
        _resize(folder, Path(name) / folder.name, size)
        return load_avatar(Path(name) / folder.name)


def _resize(source: Path, target: Path, size: int) -> None:
    target.mkdir()
    for kept in _KEPT:
        (target / kept).symlink_to((source / kept).resolve())
    manifest = json.loads((source / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(manifest | {"resolution": size}))


def front(manifest: Manifest) -> FrameState:
    """The neutral face from the avatar's own viewpoint."""
    names = manifest.expression_names
    return neutral_state(len(names), manifest.eye_position, manifest.fov_y_rad)


def swaying(manifest: Manifest, time_s: float) -> FrameState:
    """The same, seen by somebody who sways from side to side."""
    state = front(manifest)
    step = np.array([_SWAY_M * sin(2 * time_s), 0.4 * _SWAY_M * sin(3 * time_s), 0], np.float32)
    return replace(state, eye_position=state.eye_position + step)
