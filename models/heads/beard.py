"""Grows a short beard, which lies down over chin and jaw.

Lengths are metres; distributions are chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.heads.meshes import Floats, smooth_normals
from models.heads.source import Source
from models.heads.tufts import Tuft, greying, unit
from models.studio.facial_hair import bearded
from models.studio.strands import BEARD

_TRIES, _STEPS = 40000, 3
"""Roots that are tried on the face below the eyes, for a beard of 1; segments of a hair."""
_MIN_FORWARD = -0.5
"""Least z of the normal of skin with roots: the back of the neck has none."""
_DOWN, _DOWN_VARIES = np.array([0.0, -1.0, 0.25]), 0.5
"""Direction in which hairs lie, and its deviation."""
_LENGTH_M, _LONGER_M, _LENGTHS = 0.0012, 0.0016, (0.6, 1.2)
"""Length of a hair, how much longer it is in a beard of 1, and the range relative to that."""
_TURN_VARIES = 0.5
"""Deviation of the tangent by which a tip is turned aside."""
_RISE, _RISE_END = 0.5, 1.2
"""A hair stands off the skin as this times t (1.2 - t) of its length, which is highest at 0.6."""
_OFF_M = 0.0001
"""Distance of roots from the skin, so that the mesh does not hide them."""
_WIDTH_M, _OPEN_SKY = (0.00009, 0.00016), 0.75


def beard_tuft(source: Source, arrays: dict[str, NDArray[Any]], random: Generator) -> Tuft:
    """Return a short beard that lies down over chin and jaw.

    Args:
        source: The person.
        arrays: Arrays of the head file.
        random: Source of random numbers.
    """
    beard = source.recipe.appearance.beard
    at, out = _roots(arrays, int(_TRIES * beard), random)
    count = len(at)
    down = _DOWN + random.normal(0, _DOWN_VARIES, (count, 3))
    along = unit(down - out * (down * out).sum(1, keepdims=True))
    t = np.linspace(0, 1, _STEPS + 1)[None, :, None]
    length = (_LENGTH_M + _LONGER_M * beard) * random.uniform(*_LENGTHS, (count, 1, 1))
    turn = random.normal(0, _TURN_VARIES, (count, 1, 1)) * np.cross(along, out)[:, None]
    rise = _RISE * t * (_RISE_END - t) * out[:, None]
    points = at[:, None] + length * (t * along[:, None] + t**2 * turn + rise)
    points = points + _OFF_M * out[:, None]
    width = random.uniform(*_WIDTH_M, count)
    sky = np.full((count, _STEPS + 1), _OPEN_SKY)
    return Tuft(BEARD, points, at, width, greying(random, at), sky, "skin")


def _roots(arrays: dict[str, NDArray[Any]], tries: int, random: Generator) -> tuple[Floats, Floats]:
    """Return points and normals (n, 3) of the skin where the beard grows.

    Args:
        arrays: Arrays of the head file.
        tries: Points that are tried; those outside of the beard are left out.
        random: Source of random numbers.
    """
    skin = arrays["faces"][arrays["materials"] == list(arrays["material_names"]).index("skin")]
    verts = arrays["neutral"].astype(np.float64)
    normals = smooth_normals(verts, arrays["faces"])
    corners = verts[skin]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    lips = arrays["masks"][:, list(arrays["mask_names"]).index("lips")]
    area *= (corners.mean(1)[:, 1] < 0) & (normals[skin].mean(1)[:, 2] > _MIN_FORWARD)
    chosen = skin[random.choice(len(skin), tries, p=area / area.sum())]
    weight = random.dirichlet([1, 1, 1], tries)
    at = np.einsum("nk,nkc->nc", weight, verts[chosen])
    share = bearded(at.astype(np.float32), np.einsum("nk,nk->n", weight, lips[chosen]))
    grown = random.uniform(0, 1, tries) < share
    out = unit(np.einsum("nk,nkc->nc", weight, normals[chosen]))
    return at[grown], out[grown]
