"""Avatars at other resolutions and with other networks than shipped, and states of a moving
viewer."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import sin
from pathlib import Path

import numpy as np
import torch

from models.avatar.folder import Avatar, load_avatar
from models.avatar.manifest import Manifest
from models.contract.frame_state import FrameState, neutral_state
from models.networks.avatar_networks import Variant, build_networks

_LINKED_FILES = ("head.npz", "weights.safetensors", "background.png")
_SWAY_M = 0.12
"""Amplitude of the viewer's motion."""


@contextmanager
def resized(avatars: Path, size: int | None) -> Iterator[Path]:
    """Yield a folder of the same avatars with resolution `size`; `avatars` itself if it is None."""
    if size is None:
        yield avatars
        return
    with tempfile.TemporaryDirectory() as name:
        for manifest in avatars.glob("*/manifest.json"):
            _resize(manifest.parent, Path(name) / manifest.parent.name, size)
        yield Path(name)


def options_for(avatars: Path, size: int | None) -> list[str]:
    """Return the options of a server whose frames have `size`, whatever the display of the page.

    Args:
        avatars: The folder of `resized`.
        size: Its size.
    """
    fixed = [] if size is None else ["--min-frame-size", str(size)]
    return ["--avatars", str(avatars), *fixed]


def load_resized(folder: Path, size: int) -> Avatar:
    """Load one avatar with resolution `size`."""
    with tempfile.TemporaryDirectory() as name:
        _resize(folder, Path(name) / folder.name, size)
        return load_avatar(Path(name) / folder.name)


def load_widened(folder: Path, size: int, network_size: float, variant: Variant = "live") -> Avatar:
    """Load one avatar with resolution `size` and random networks of size `network_size`."""
    avatar = load_resized(folder, size)
    torch.manual_seed(0)
    config = replace(avatar.manifest.network, variant=variant, network_size=network_size)
    networks = build_networks(config).eval().requires_grad_(False)
    manifest = replace(avatar.manifest, network=config)
    return replace(avatar, manifest=manifest, networks=networks)


def _resize(source: Path, target: Path, size: int) -> None:
    target.mkdir()
    for name in _LINKED_FILES:
        (target / name).symlink_to((source / name).resolve())
    manifest = json.loads((source / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(manifest | {"resolution": size}))


def front(manifest: Manifest) -> FrameState:
    """Return the neutral face in the default view."""
    names = manifest.expression_names
    return neutral_state(len(names), manifest.eye_position, manifest.fov_y_rad)


def swaying(manifest: Manifest, time_s: float) -> FrameState:
    """Return the neutral face at time `time_s` of a viewer who sways from side to side."""
    state = front(manifest)
    step = np.array([_SWAY_M * sin(2 * time_s), 0.4 * _SWAY_M * sin(3 * time_s), 0], np.float32)
    return replace(state, eye_position=state.eye_position + step)
