"""Fills textures of hair and clothes that a video hardly shows with features of nearby seen parts.

Training hardly changes texels that no frame shows: they keep the features of the avatar that
training started from, while the networks that read them change. Sides of the hair would be grey.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy.spatial import cKDTree

from models.geometry.head import Head
from models.geometry.npz import read_npz
from models.geometry.rasterizer import SUBPIXELS
from models.geometry.rasterizer_numba import barycentrics, rasterize
from models.heads.meshes import Floats
from models.networks.texture import LEVELS
from models.studio.materials import MATERIALS

_COMPLETED = ("hair", "cloth")
"""Materials with a uniform look. The skin nearest to a cheek may be that of an ear."""
_NEIGHBOURS = 12
"""Seen texels that an unseen one takes the mean of, by their inverse distance."""
_SAMPLES = 8000
"""Seen texels of a material that are searched: millimetres apart, and far fewer than all."""
_NEAR_M = 0.004
"""Added to distances, so that the nearest texel alone does not determine the mean, which would
cause streaks."""


class Layout:
    """Where the texels of a texture lie on the head.

    Args:
        head: The head.
        materials: (F,) of its triangles.
        size: Rows and columns of the texture.
    """

    def __init__(self, head: Head, materials: NDArray[np.uint8], size: int) -> None:
        self.points: Floats = np.full((size, size, 3), np.nan)
        """Metres at rest; NaN where no triangle is."""
        self.material = np.full((size, size), -1, np.int64)
        xy = np.round(head.uvs * (size * SUBPIXELS)).astype(np.int64)
        flat = np.ones(len(xy))
        # Charts may be mirrored: of a winding, the rasterizer draws one side.
        for order in (slice(None), slice(None, None, -1)):
            faces = np.ascontiguousarray(head.uv_faces[:, order])
            triangle = rasterize(xy, flat, faces, size, size).triangle
            drawn = triangle >= 0
            corners = head.neutral[head.faces[:, order][triangle[drawn]]]
            weights = barycentrics(triangle, xy, flat, faces)[drawn]
            self.points[drawn] = (weights[..., None] * corners).sum(axis=1)
            self.material[drawn] = materials[triangle[drawn]]


def complete(texels: NDArray[np.float32], seen: NDArray[np.bool_], layout: Layout) -> None:
    """Fill unseen texels in place, from the nearest ones of their material on the head.

    Args:
        texels: (C, S, S) values of the texture, changed.
        seen: (S, S) texels that the video shows.
        layout: Material and position of each texel.
    """
    for name in _COMPLETED:
        part = layout.material == MATERIALS.index(name)
        known, unknown = np.argwhere(part & seen), part & ~seen
        if len(known) < _NEIGHBOURS or not unknown.any():
            continue
        rows, columns = known[:: max(1, len(known) // _SAMPLES)].T
        tree = cKDTree(layout.points[rows, columns])
        distance, nearest = tree.query(layout.points[unknown], _NEIGHBOURS)
        weight = 1 / (distance + _NEAR_M) ** 2
        weight /= weight.sum(axis=1, keepdims=True)
        values = texels[:, rows, columns][:, nearest]
        texels[:, unknown] = (values * weight).sum(axis=2)


def complete_avatar(avatar: Path, head: Head, seen: NDArray[np.bool_]) -> None:
    """Complete the textures of an avatar's folder.

    Args:
        avatar: The folder.
        head: Its head.
        seen: (S, S) texels that the video shows, of a square texture of any size.
    """
    materials: NDArray[Any] = read_npz(avatar / "head.npz", ("materials",))["materials"]
    path = avatar / "weights.safetensors"
    weights = load_file(path)
    for name in [name for name in weights if LEVELS in name]:
        texels = weights[name].float().numpy()[0]
        size = texels.shape[-1]
        complete(texels, resized(seen, size), Layout(head, materials, size))
        weights[name] = torch.from_numpy(texels)[None].to(weights[name].dtype)
    part = path.with_suffix(".part")
    save_file(weights, part)
    part.replace(path)


def resized(seen: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return (size, size) which texels of a texture of another size were seen, at least in part."""
    share = cv2.resize(seen.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(share) > 0
