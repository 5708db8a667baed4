"""The weights that the training of a person starts from: another avatar's, with own colours."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from models.capture.texture import TEXTURE_SIZE, Unwrapped
from models.heads.assembly import BOXES

SEEN = "seen.npy"
"""Which texels the video shows well, (512, 512) bool: a file of the folder, for `completion.py`."""
_PAINT = "paint.levels.0"
"""Key of the texture whose first three channels are colours."""
_INNER = ("mouth", "tongue", "upperTeeth", "lowerTeeth", "eyeLeft", "eyeRight")
"""Parts that a video may never show; there they keep the colours of the other avatar."""


def write_start(prior: Path, unwrapped: Unwrapped, out: Path) -> None:
    """Copy an avatar's weights and replace the colours of its texture.

    Args:
        prior: Folder of the other avatar.
        unwrapped: Colours of the person.
        out: Folder to write.
    """
    weights = load_file(prior / "weights.safetensors")
    paint = weights[_PAINT].float()
    given = paint[0, :3].permute(1, 2, 0).numpy()
    colours = unwrapped.colours(_inner_colours(given, unwrapped))
    paint[0, :3] = torch.from_numpy(colours).permute(2, 0, 1)
    weights[_PAINT] = paint.half()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    save_file(weights, out / "weights.safetensors")
    np.save(out / SEEN, unwrapped.well_seen())


def _inner_colours(given: NDArray[np.float32], unwrapped: Unwrapped) -> NDArray[np.float32]:
    """Return (512, 512, 3) colours of inner parts at the person's brightness, NaN elsewhere."""
    seen = unwrapped.seen()
    own = unwrapped.colours()
    ratio = float(own[seen].mean() / max(float(given[seen].mean()), 1e-3))
    colours = np.full_like(given, np.nan)
    for name in _INNER:
        u, v, width, height = (round(value * TEXTURE_SIZE) for value in BOXES[name])
        part = np.s_[v : v + height, u : u + width]
        colours[part] = np.clip(given[part] * ratio, 0, 1)
    return colours
