"""Which region of a person each pixel of an image shows: eyes, mouth, face, hair, clothes."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.geometry.npz import read_npz
from models.geometry.rasterizer_numba import rasterize
from models.heads.parts import MASKS
from models.studio.materials import MATERIALS


class Region(IntEnum):
    """Part of a person. Eyes include lids and lashes, the mouth lips, teeth and tongue."""

    FACE = 0
    EYES = 1
    MOUTH = 2
    HAIR = 3
    CLOTHES = 4
    BACKGROUND = 5


_OF_MATERIAL = {
    "eye": Region.EYES,
    "lash": Region.EYES,
    "mouth": Region.MOUTH,
    "teeth": Region.MOUTH,
    "tongue": Region.MOUTH,
    "hair": Region.HAIR,
    "cloth": Region.CLOTHES,
}
_OF_MASK = {"eyelids": Region.EYES, "lips": Region.MOUTH}
_MASKED = 0.5
"""Mean value of a mask from which on a triangle of skin belongs to its region."""


class HeadRegions:
    """Finds the regions of a head's triangles and of what images of it show.

    Args:
        head: The head.
        arrays: `faces`, `materials` and `masks` of its head file.
    """

    def __init__(self, head: Head, arrays: dict[str, NDArray[Any]]) -> None:
        self._head = head
        of_material = [_OF_MATERIAL.get(name, Region.FACE) for name in MATERIALS]
        region = np.array(of_material, np.uint8)[arrays["materials"]]
        corners = arrays["masks"][arrays["faces"]].mean(axis=1)
        skin = arrays["materials"] == MATERIALS.index("skin")
        for mask, name in _OF_MASK.items():
            region[skin & (corners[:, MASKS.index(mask)] > _MASKED)] = name
        # Triangle -1, where no triangle is seen, takes the last one.
        self._region = np.append(region, np.uint8(Region.BACKGROUND))

    def shown(self, state: FrameState, size: int) -> NDArray[np.uint8]:
        """Return (size, size) the `Region` that each pixel of a frame shows."""
        geometry = pose_geometry(self._head, state, size)
        triangle = rasterize(
            geometry.xy, geometry.inverse_depth, self._head.faces, size, size
        ).triangle
        shown: NDArray[np.uint8] = self._region[triangle]
        return shown


def load_regions(head: Head, path: Path) -> HeadRegions | None:
    """Return the regions of a head; None for head files that do not say what triangles are."""
    arrays = read_npz(path, ("faces", "materials", "masks"))
    return HeadRegions(head, arrays) if {"materials", "masks"} <= set(arrays) else None
