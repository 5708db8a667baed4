"""The texels of a head's texture atlas: position on the neutral head, normal and material.

Painting starts from here; this module does not know colours or lights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.geometry.head import HeadError, vertex_normals
from models.geometry.npz import read_npz
from models.geometry.rasterizer import SUBPIXELS
from models.geometry.rasterizer_numba import barycentrics, rasterize

Floats = NDArray[np.float32]

_MIN_LENGTH = 1e-6  # of normals that are normalised: none must divide by 0
_STUDIO_KEYS = ("materials", "material_names", "masks", "mask_names", "occlusion")


@dataclass(frozen=True, slots=True, eq=False)
class StudioData:
    """The part of a head file that only the studio reads."""

    materials: NDArray[np.uint8]
    """(F,) index into `material_names`."""
    material_names: tuple[str, ...]
    masks: Floats
    """(V, K) weights of the painting regions in `mask_names`."""
    mask_names: tuple[str, ...]
    occlusion: Floats
    """(V,) share of the sky that is visible from the neutral head, 0..1."""
    base_colour: NDArray[np.uint8] | None = None
    """(h, w, 4) sRGB and whether it is valid (0 or 255), laid out as the texture: the base colour
    image of an imported mesh."""


@dataclass(frozen=True, slots=True, eq=False)
class Texels:
    """The covered texels of an atlas of `size` by `size`; N of them."""

    size: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    position: Floats
    """(N, 3) metres on the neutral head."""
    normal: Floats
    """(N, 3) unit vectors of the neutral head."""
    material: NDArray[np.uint8]
    """(N,) as `StudioData.materials`."""
    masks: Floats
    """(N, K) as `StudioData.masks`."""


def load_studio_data(path: Path) -> StudioData:
    """Read the studio's part of a head file.

    Raises:
        HeadError: If the file was not made for painting.
    """
    try:
        arrays = read_npz(path, (*_STUDIO_KEYS, "base_colour"))
    except (OSError, ValueError) as exc:
        raise HeadError(f"{path} is not a readable head file: {exc}") from exc
    missing = [key for key in _STUDIO_KEYS if key not in arrays]
    if missing:
        raise HeadError(f"{path} cannot be painted: it lacks {', '.join(missing)}")
    return StudioData(
        materials=arrays["materials"],
        material_names=tuple(str(name) for name in arrays["material_names"]),
        masks=arrays["masks"].astype(np.float32),
        mask_names=tuple(str(name) for name in arrays["mask_names"]),
        occlusion=arrays["occlusion"].astype(np.float32),
        base_colour=arrays.get("base_colour"),
    )


def find_texels(
    neutral: Floats,
    faces: NDArray[np.int32],
    uvs: Floats,
    uv_faces: NDArray[np.int32],
    data: StudioData,
    size: int,
) -> Texels:
    """Rasterize the texture layout itself.

    Args:
        neutral: (V, 3) metres.
        faces: (F, 3) vertices of each triangle.
        uvs: (T, 2) in 0..1, v downwards.
        uv_faces: (F, 3) rows of `uvs` for the corners of each triangle.
        data: Materials and masks.
        size: Texels along each side.
    """
    corners = uvs[uv_faces].astype(np.float64) * size
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    signed = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    # The rasterizer culls back faces; islands that are mirrored in the layout are flipped.
    mirrored = signed > 0
    order = np.where(mirrored[:, None], [0, 2, 1], [0, 1, 2])
    turned_faces = np.take_along_axis(faces, order, axis=1)
    turned_uv_faces = np.ascontiguousarray(np.take_along_axis(uv_faces, order, axis=1))
    xy = np.floor(uvs.astype(np.float64) * size * SUBPIXELS + 0.5).astype(np.int64)
    # The layout is flat: 1/depth of 1 everywhere turns off perspective.
    flat = np.ones(len(uvs))
    fragments = rasterize(xy, flat, turned_uv_faces, size, size)
    weights = barycentrics(fragments.triangle, xy, flat, turned_uv_faces)
    rows, columns = np.nonzero(fragments.mask)
    triangle = fragments.triangle[rows, columns]
    weight = weights[rows, columns]

    def blend(values: NDArray[Any]) -> Floats:
        corners = values[turned_faces[triangle]]
        blended: Floats = np.einsum("nk,nkc->nc", weight, corners).astype(np.float32)
        return blended

    normal = blend(vertex_normals(neutral, faces))
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    return Texels(
        size=size,
        rows=rows,
        columns=columns,
        position=blend(neutral),
        normal=normal / np.maximum(length, _MIN_LENGTH),
        material=data.materials[triangle],
        masks=blend(data.masks),
    )


def spread(maps: Floats, covered: NDArray[np.bool_], rounds: int = 4) -> Floats:
    """Dilate the painted texels, so that bilinear lookups at the edge of an island are painted.

    Args:
        maps: (size, size, C) values per texel.
        covered: (size, size) which texels are painted.
        rounds: Texels to dilate by.

    Returns:
        (size, size, C), dilated.
    """
    maps, covered = maps.copy(), covered.copy()
    for _ in range(rounds):
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            source = np.roll(covered, step, axis)
            new = source & ~covered
            maps[new] = np.roll(maps, step, axis)[new]
            covered |= new
    return maps
