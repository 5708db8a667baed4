"""The parts of a head file that move when hair, ears and clothes are fitted to mattes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.capture.shape_space import BASE
from models.heads.meshes import Floats
from models.heads.parts import MASKS
from models.heads.source import above_collar
from models.studio.materials import MATERIALS

_EAR = 0.5
"""Value of the mask of ears from which on a vertex belongs to an ear."""


@dataclass(frozen=True)
class Deformable:
    """The movable parts of a head file."""

    verts: Floats
    """(V, 3) of the head file."""
    hair: NDArray[np.bool_]
    """(V,) vertices of hair."""
    cloth: NDArray[np.bool_]
    """(V,) vertices of clothes."""
    ears: NDArray[np.bool_]
    """(V,) vertices of the ears' skin."""
    above_hairline: Floats
    """(V,) metres."""
    below_collar: Floats
    """(V,) metres."""
    from_skin: Floats
    """(V,) metres to the nearest vertex of skin: 0 on the seam of clothes and neck."""
    from_cheek: Floats
    """(V,) metres to the nearest vertex of skin that is not the ears'."""


def deformable(arrays: dict[str, NDArray[Any]]) -> Deformable:
    """Return the movable parts of the arrays of a head file."""
    marked = {}
    for material in ("hair", "cloth", "skin"):
        faces = arrays["faces"][arrays["materials"] == MATERIALS.index(material)]
        marked[material] = np.zeros(len(arrays["neutral"]), bool)
        marked[material][faces] = True
    above = arrays["masks"][:, MASKS.index("hair")].astype(np.float64)
    verts = arrays["neutral"].astype(np.float64)
    from_skin, _ = cKDTree(verts[marked["skin"]]).query(verts)
    below = -above_collar(verts, BASE)
    ears = marked["skin"] & (arrays["masks"][:, MASKS.index("ears")] > _EAR)
    from_cheek, _ = cKDTree(verts[marked["skin"] & ~ears]).query(verts)
    return Deformable(
        verts, marked["hair"], marked["cloth"], ears, above, below, from_skin, from_cheek
    )
