"""Moves the ears of a head by a few numbers each: height, size, and how far they stand out.

An ear turns about its root. So it is wider from the front, and no longer, seen from the side. A
shift of its outline away from the skull would lengthen it in views beside those that were filmed.
"""

from __future__ import annotations

import numpy as np

from models.capture.deformable import Deformable
from models.geometry.smoothstep import smoothstep
from models.heads.meshes import Floats

PARAMETERS = 4
SIDES = (1, -1)
"""Sign of x of the left ear and of the right one."""
_RAISED_M = 0.005
_STRETCHED = 0.15
_TURNED_RAD = 0.2
"""One unit of a parameter: metres upwards, a share of the size, radians outwards."""
_ROOT_M = 0.006
"""Vertices this near to the cheek are the root that an ear turns about."""
_FREE_M = 0.012
"""Over this distance from the cheek an ear begins to move: its root stays."""


def with_ear_moved(part: Deformable, ear: Floats, side: int) -> Floats:
    """Return (V, 3) the vertices, those of one ear moved.

    Args:
        part: The head.
        ear: (4,) how far the ear moves up, its height, its size seen from above, and how far it
            turns outwards.
        side: One of `SIDES`.
    """
    mine = part.ears & (np.sign(part.verts[:, 0]) == side)
    verts, from_cheek = part.verts[mine], part.from_cheek[mine]
    root = verts[from_cheek < _ROOT_M].mean(axis=0)
    raised, taller, longer, turned = ear
    size = 1 + _STRETCHED * np.array([longer, taller, longer])
    # The rim lies behind the root: it moves outwards, to the side of the ear.
    angle = -side * _TURNED_RAD * turned
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    placed = root + (verts - root) * size @ turn.T + [0, _RAISED_M * raised, 0]
    free = smoothstep(0.0, _FREE_M, from_cheek)
    moved = part.verts.copy()
    moved[mine] += (placed - verts) * free[:, None]
    return moved
