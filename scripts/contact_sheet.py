"""Render an avatar from several views and with several expressions into one image.

    .venv/bin/python scripts/contact_sheet.py models/avatars/default sheet.jpg

Each frame is a warp of the cache of the neutral face in the default view.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from math import radians
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image

from models.avatar.folder import load_avatar
from models.avatar.manifest import AvatarError, Manifest
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.camera import look_at
from models.runtime.renderer import CachedRenderer

VIEWS = ((0, 0), (-40, 0), (20, 12), (40, -8))
"""Yaw and pitch of the eye around the head, degrees."""
EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {
        "mouthSmileLeft": 0.8,
        "mouthSmileRight": 0.8,
        "cheekSquintLeft": 0.5,
        "cheekSquintRight": 0.5,
    },
    "laugh": {
        "mouthSmileLeft": 0.9,
        "mouthSmileRight": 0.9,
        "jawOpen": 0.22,
        "mouthUpperUpLeft": 0.3,
        "mouthUpperUpRight": 0.3,
        "cheekSquintLeft": 0.6,
        "cheekSquintRight": 0.6,
    },
    "surprise": {"jawOpen": 0.5, "browInnerUp": 0.8, "eyeWideLeft": 0.7, "eyeWideRight": 0.7},
    "wink": {"eyeBlinkLeft": 1.0, "mouthSmileLeft": 0.5, "browDownLeft": 0.3},
    "doubt": {
        "browDownLeft": 0.9,
        "browOuterUpRight": 0.8,
        "mouthPucker": 0.4,
        "eyeLookOutLeft": 0.6,
        "eyeLookInRight": 0.6,
    },
}


@dataclass(frozen=True)
class Arguments:
    """Render a contact sheet."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """Avatar folder."""
    out: Annotated[Path, tyro.conf.Positional]
    """Image file to write; its suffix selects the format."""
    device: str = "cpu"
    """PyTorch device."""


def main(arguments: Arguments) -> int:
    """Render and save. Returns the exit code."""
    try:
        renderer = CachedRenderer(load_avatar(arguments.avatar), arguments.device)
        rows = [_row(renderer, coefficients) for coefficients in EXPRESSIONS.values()]
        Image.fromarray(np.concatenate(rows)).save(arguments.out, quality=92)
    except (AvatarError, OSError, ValueError) as error:
        print(f"contact_sheet: {error}", file=sys.stderr)
        return 1
    return 0


def _row(renderer: CachedRenderer, coefficients: dict[str, float]) -> NDArray[np.uint8]:
    manifest = renderer.manifest
    count = len(manifest.expression_names)
    cache = renderer.allocate_cache()
    neutral = neutral_state(count, manifest.eye_position, manifest.fov_y_rad)
    renderer.refresh(neutral, cache)
    expression = np.zeros(count, np.float32)
    for name, value in coefficients.items():
        if name in manifest.expression_names:
            expression[manifest.expression_names.index(name)] = value
    states = [_seen_from(manifest, replace(neutral, expression=expression), *v) for v in VIEWS]
    return np.concatenate([renderer.warp(state, cache).rgb for state in states], axis=1)


def _seen_from(
    manifest: Manifest, state: FrameState, yaw_deg: float, pitch_deg: float
) -> FrameState:
    _, height, distance = manifest.eye_position
    yaw, pitch = radians(yaw_deg), radians(pitch_deg)
    direction = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    target = np.array([0, height, 0])
    eye = target + distance * direction
    return replace(state, eye_position=eye.astype(np.float32), eye_rotation=look_at(eye, target))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
