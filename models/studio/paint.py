"""Paints a head: colour, gloss and fine relief of every texel, in the space of the neutral head.

All paint is a function of the position on the head (metres, origin between the eyes), so that seams
of the texture layout are invisible. Colours are linear RGB, not sRGB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.geometry.head import Head
from models.studio.appearance import Appearance
from models.studio.atlas import StudioData, Texels, find_texels, spread
from models.studio.brush import Brush, Floats
from models.studio.eyeball import EYE_JOINTS, eyeball_radius
from models.studio.paint_cloth import paint_cloth
from models.studio.paint_eye import paint_eye, paint_lash
from models.studio.paint_hair import paint_hair
from models.studio.paint_mouth import paint_mouth, paint_teeth, paint_tongue
from models.studio.paint_skin import paint_skin
from models.studio.srgb import decode_array
from models.studio.texture_channels import CHANNELS
from models.studio.wrinkles import crease_depth, crease_relief

_MIN_COLOUR = 0.001
"""Darkest colour: nothing is perfectly black, and sums of tints must not become negative."""
_UNPAINTED_ROUGHNESS = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PaintedHead:
    """Texture maps of one head."""

    maps: Floats
    """(size, size, CHANNELS), in the order of `texture_channels`."""


def paint_head(
    head: Head, data: StudioData, appearance: Appearance, size: int = 1024
) -> PaintedHead:
    """Paint every texel.

    Args:
        head: Shape and texture layout.
        data: Materials and masks of the same head file.
        appearance: Colours and features of the person.
        size: Texels along each side of the maps.
    """
    texels = find_texels(head.neutral, head.faces, head.uvs, head.uv_faces, data, size)
    maps = np.zeros((size, size, CHANNELS), np.float32)
    painters = _painters(head, data, appearance)
    for index, name in enumerate(data.material_names):
        chosen = np.nonzero(texels.material == index)[0]
        brush = _new_brush(texels, data.mask_names, chosen)
        painters[name](brush)
        maps[texels.rows[chosen], texels.columns[chosen]] = np.concatenate(
            [
                np.maximum(brush.colour, _MIN_COLOUR),
                brush.roughness[:, None],
                brush.specular[:, None],
                brush.relief,
                brush.thinness[:, None],
                *_wrinkles(name, brush),
            ],
            axis=1,
        )
    if data.base_colour is not None:
        _apply_base_colour(maps, texels, data.base_colour)
    covered = np.zeros((size, size), bool)
    covered[texels.rows, texels.columns] = True
    return PaintedHead(spread(maps, covered))


def _apply_base_colour(maps: Floats, texels: Texels, image: NDArray[np.uint8]) -> None:
    """Colour the texels from the base colour image of the mesh; gloss and relief stay."""
    height, width, _ = image.shape
    # Nearest texel: the image was already scaled to about the size of the texture.
    rows = (texels.rows * height + height // 2) // texels.size
    columns = (texels.columns * width + width // 2) // texels.size
    own = image[np.minimum(rows, height - 1), np.minimum(columns, width - 1)]
    valid = own[:, 3] > 0
    linear = decode_array(own[valid, :3].astype(np.float32) / 255)
    maps[texels.rows[valid], texels.columns[valid], :3] = np.maximum(linear, _MIN_COLOUR)


def _new_brush(texels: Texels, names: tuple[str, ...], chosen: NDArray[np.int64]) -> Brush:
    """Return white, unpainted texels `chosen` (N,) of the atlas."""
    count = len(chosen)
    masks = texels.masks[chosen]
    return Brush(
        position=np.ascontiguousarray(texels.position[chosen]),
        normal=texels.normal[chosen],
        masks={name: np.ascontiguousarray(masks[:, i]) for i, name in enumerate(names)},
        colour=np.ones((count, 3), np.float32),
        roughness=np.full(count, _UNPAINTED_ROUGHNESS, np.float32),
        specular=np.ones(count, np.float32),
        relief=np.zeros((count, 3), np.float32),
        thinness=np.zeros(count, np.float32),
    )


def _wrinkles(material: str, brush: Brush) -> tuple[Floats, Floats]:
    """Return relief (N, 3) and depth (N, 1) of wrinkles, which only skin has."""
    if material != "skin":
        nothing = np.zeros((len(brush.position), 4), np.float32)
        return nothing[:, :3], nothing[:, 3:]
    return crease_relief(brush.position), crease_depth(brush.position)[:, None]


def _painters(
    head: Head, data: StudioData, appearance: Appearance
) -> dict[str, Callable[[Brush], None]]:
    """Return the painter of each material."""
    eyes = head.joint_positions[EYE_JOINTS]
    radius = eyeball_radius(head, data)
    return {
        "skin": lambda brush: paint_skin(brush, eyes, radius, appearance),
        "mouth": paint_mouth,
        "teeth": paint_teeth,
        "tongue": paint_tongue,
        "eye": lambda brush: paint_eye(brush, eyes, appearance),
        "lash": lambda brush: paint_lash(brush, appearance),
        "hair": lambda brush: paint_hair(brush, appearance),
        "cloth": lambda brush: paint_cloth(brush, appearance),
    }
