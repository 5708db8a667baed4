"""The studio: an offline renderer of heads, whose images are the ground truth of training.

It takes about a fifth of a second per image on one core: supersampled, with painted textures,
lights, shadows, and light that scatters under the skin. Serving does not need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.geometry.camera import focal_px, quaternion_to_matrix
from models.geometry.head import Head, HeadError, vertex_normals
from models.geometry.head_file import load_head
from models.geometry.rasterizer import SUBPIXELS, Fragments
from models.geometry.rasterizer_numba import project, rasterize
from models.studio.appearance import Appearance, load_appearance
from models.studio.atlas import StudioData, load_studio_data
from models.studio.eyeball import EYE_JOINTS, Eyeballs
from models.studio.lamps import KEY, KEY_RIGHT, KEY_UP, make_lamps
from models.studio.lighting import Light, Lights, Pose, Surface, shade
from models.studio.materials import MATERIALS, SKIN
from models.studio.paint import paint_head
from models.studio.post_processing import expose, find_crevices, reduce_samples, scatter
from models.studio.srgb import encode_array
from models.studio.strand_rendering import draw_strands
from models.studio.strands import Strands, load_strands, sink_hull
from models.studio.wrinkles import Wrinkles

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


SHADOW_SIZE = 448
SHADOW_METRES = 0.62
"""Extent of the key light's shadow map around the head: about 1.4 mm per texel."""
_SHADOW_CENTRE_M = (0, -0.03, -0.06)
"""Middle of the shadow map, in head space."""
_SHADOW_DISTANCE_M = 2.0
"""Distance from the head to the key light: keeps nearness positive, as the rasterizer requires."""

# The wall behind the head, in shares of the image from the upper left. Chosen by eye.
_GLOW_X, _GLOW_WIDTH, _GLOW_Y, _GLOW_HEIGHT = 0.42, 0.50, 0.40, 0.48
"""Middle and half size of the pool of light: left of and above the middle, opposite to the key
light."""
_WALL, _GLOW, _DARKER_BELOW, _DARKEST = 0.55, 3.6, 0.25, 0.2
"""Brightness of the wall, how much brighter the pool is, how much darker the wall's foot is, and
its least brightness, all by the backdrop's colour."""
_GRAIN_SEED, _GRAIN_LEVELS = 5, 0.9
"""The wall is dithered by less than one of 256 levels, so that its gradient shows no bands."""


@dataclass(frozen=True, slots=True, eq=False)
class StudioImage:
    """An image of the head in front of the studio's background."""

    rgb: Bytes
    """(H, W, 3) sRGB, composited."""
    mask: Bytes
    """(H, W) share of each pixel that the person covers, 0..255."""


class Studio:
    """Renders one head.

    Args:
        head: Shape and joints.
        data: Materials and masks of the same head file.
        appearance: Colours and features of the person and of the room.
        strands: Single hairs; None if the head has none.
        size: Rows and columns of the images.
        supersample: Samples per pixel along each side; even.
        texture_size: Texels along each side of the painted textures; fewer take less time.

    Raises:
        HeadError: If the materials of the file are not `MATERIALS`.
    """

    def __init__(
        self,
        head: Head,
        data: StudioData,
        appearance: Appearance,
        strands: Strands | None,
        size: int = 384,
        supersample: int = 2,
        texture_size: int = 1024,
    ) -> None:
        if data.material_names != MATERIALS:
            raise HeadError(f"materials must be {MATERIALS}, got {data.material_names}")
        self.head = head
        self.size = size
        self.background = make_background(size, appearance)
        self._data = data
        self._strands = strands
        self._supersample = supersample
        self._maps = paint_head(head, data, appearance, texture_size).maps
        self._lamps = make_lamps(appearance.key_light)
        self._eyeballs = Eyeballs(head, data)
        self._wrinkles = Wrinkles(head.neutral, head.expression_names)

    def render(self, state: FrameState) -> StudioImage:
        """Render the head in the pose, expression and view of `state`."""
        samples = self.size * self._supersample
        verts = np.ascontiguousarray(self.head.pose(state), np.float32)
        rotation = quaternion_to_matrix(state.head_rotation)
        lights = Lights(self._lamps, *self._shadow(verts, rotation, state))
        # The hull of the hair casts the shadow, since strands cast none. For the image it is pulled
        # in below them.
        hull = verts
        if self._strands is not None:
            hull = sink_hull(self._strands, verts, vertex_normals(verts, self.head.faces))
        xy, inverse_depth = project(hull, state, samples, samples)
        fragments = rasterize(xy, inverse_depth, self.head.faces, samples, samples)
        colour = self._light(state, hull, xy, inverse_depth, fragments, lights)
        cover = fragments.mask.astype(np.float32)
        if self._strands is not None:
            draw_strands(
                self._strands,
                self.head,
                state,
                verts,
                fragments.inverse_depth,
                lights,
                colour,
                cover,
            )
        return self._develop(colour, cover)

    def _light(
        self,
        state: FrameState,
        verts: Floats,
        xy: NDArray[np.int64],
        inverse_depth: NDArray[np.float64],
        fragments: Fragments,
        lights: Lights,
    ) -> Floats:
        """Return (samples, samples, 3) sRGB of what each sample sees, 0 where it sees nothing."""
        samples = len(fragments.triangle)
        focal = focal_px(state.fov_y_rad, samples)
        rotation = quaternion_to_matrix(state.head_rotation)
        centres = self.head.joint_positions[EYE_JOINTS] @ rotation.T + state.head_translation
        surface = Surface(
            fragments.triangle,
            xy,
            inverse_depth,
            self.head.faces,
            self.head.uv_faces,
            verts,
            vertex_normals(verts, self.head.faces),
            self.head.uvs,
            self._data.occlusion,
            self._wrinkles.fold(state.expression),
            self._data.materials,
            self._maps,
            find_crevices(fragments.inverse_depth, focal),
        )
        eye_position = np.asarray(state.eye_position, np.float64)
        pose = Pose(rotation, self._eyeballs.track(verts, centres), eye_position)
        light = Light(*np.zeros((3, samples, samples, 3), np.float32))
        shade(surface, lights, pose, light)
        skin = (self._data.materials[fragments.triangle] == SKIN) & fragments.mask
        irradiance = scatter(light.irradiance, fragments.inverse_depth, skin, focal)
        return expose(light.albedo, irradiance, light.specular, fragments.triangle)

    def _develop(self, colour: Floats, covered: Floats) -> StudioImage:
        """Average the samples of each pixel and composite them over the background."""
        samples = np.concatenate([colour, covered[..., None]], axis=2)
        reduced = reduce_samples(samples, self.size)
        cover = reduced[..., 3]
        composite = reduced[..., :3] * 255 + (1 - cover[..., None]) * self.background
        return StudioImage(
            rgb=np.clip(composite + 0.5, 0, 255).astype(np.uint8),
            mask=np.clip(cover * 255 + 0.5, 0, 255).astype(np.uint8),
        )

    def _shadow(
        self, verts: Floats, rotation: NDArray[np.float64], state: FrameState
    ) -> tuple[Floats, NDArray[np.float64]]:
        """Render the shadow map of the key light; return it and world to shadow map (3, 4)."""
        centre = rotation @ _SHADOW_CENTRE_M + state.head_translation
        scale = SHADOW_SIZE / SHADOW_METRES
        frame = np.zeros((3, 4))
        frame[0, :3], frame[1, :3], frame[2, :3] = KEY_RIGHT * scale, -KEY_UP * scale, KEY
        frame[:2, 3] = SHADOW_SIZE / 2 - frame[:2, :3] @ centre
        frame[2, 3] = _SHADOW_DISTANCE_M - KEY @ centre
        placed = verts @ frame[:, :3].T + frame[:, 3]
        xy = np.floor(placed[:, :2] * SUBPIXELS + 0.5).astype(np.int64)
        near = np.ascontiguousarray(placed[:, 2])
        fragments = rasterize(xy, near, self.head.faces, SHADOW_SIZE, SHADOW_SIZE)
        return fragments.inverse_depth, frame


def load_studio(
    path: Path, size: int = 384, supersample: int = 2, texture_size: int = 1024
) -> Studio:
    """Create the studio of a head file; the other arguments are those of `Studio`.

    Raises:
        HeadError: If the file cannot be read or painted.
    """
    head, data, appearance = load_head(path), load_studio_data(path), load_appearance(path)
    strands = load_strands(path, head, appearance)
    return Studio(head, data, appearance, strands, size, supersample, texture_size)


def make_background(size: int, appearance: Appearance) -> Bytes:
    """Return a wall (size, size, 3), lit behind the head and darker towards the corners."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    across, along = (x - _GLOW_X) / _GLOW_WIDTH, (y - _GLOW_Y) / _GLOW_HEIGHT
    glow = np.exp(-(across**2 + along**2))
    level = _WALL + _GLOW * glow - _DARKER_BELOW * y
    light = np.maximum(level, _DARKEST)[..., None] * np.asarray(appearance.backdrop, np.float32)
    srgb = encode_array(light)
    grain = np.random.default_rng(_GRAIN_SEED).uniform(-0.5, 0.5, (size, size, 1))
    dithered = srgb * 255 + 0.5 + _GRAIN_LEVELS * grain
    background: Bytes = np.clip(dithered, 0, 255).astype(np.uint8)
    return background
