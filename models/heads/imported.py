"""Brings a person's own mesh: every array of a head file, from a GLB or an OBJ.

The file's vertices come first and in its order. A mesh with expressions gets eyeballs that turn and
the inside of a mouth behind its lips, where it has none; one without is driven by its vertices
alone, so nothing is added to them, and holes are closed between those there are.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi, radians, tan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.contract.arkit import ARKIT_NAMES, arkit_name
from models.geometry.unwrap import unroll
from models.heads.anatomy import Anatomy, find_anatomy, fit_jaw, part_material
from models.heads.eyes import eyeball
from models.heads.glb import MeshFileError
from models.heads.holes import patch
from models.heads.mesh_files import Mesh, read_mesh
from models.heads.meshes import Floats, Ints, smooth_normals, smoothstep
from models.heads.occlusion import occlusion
from models.heads.parts import JOINTS, MASKS, Part, joint_weights, rigid_part
from models.heads.source import EYE_PITCH_RAD, EYE_YAW_RAD
from models.studio.appearance import Appearance
from models.studio.materials import MATERIALS

FOV_Y_RAD = radians(23)
UNITS_M = (1.0, 0.01, 0.001, 0.0254)
"""What one unit of a file may be. glTF says metres; many scans are in centimetres all the same."""
_HEIGHTS_M = (0.12, 0.6)
"""Of anything between a face and a bust."""
_ADDED_TOP = 0.87
"""Below this row of the texture lie the parts that are added."""
_BOXES = {
    "eyeLeft": (0.005, 0.875, 0.12, 0.12),
    "eyeRight": (0.135, 0.875, 0.12, 0.12),
    "mouth": (0.265, 0.875, 0.12, 0.12),
}
"""u, v, width and height of each."""
_LIP_SHAPE = np.array([2.2, 1.0, 0.0])
_NO_HAIR = -1.0
"""Of the mask that says how far into the hair a place lies."""


def import_head(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a head file (`models/geometry/head.py`) and what the studio paints by.

    Args:
        path: A `.glb` or an `.obj`, +Y up, the face looking along +Z.

    Raises:
        MeshFileError: If it is unreadable, of no head's size, or its eyes cannot be found.
    """
    mesh = _outwards(_in_metres(path, read_mesh(path)))
    mesh = replace(mesh, deltas=_arkit_deltas(mesh.deltas))
    try:
        anatomy = find_anatomy(mesh)
    except MeshFileError as exc:
        raise MeshFileError(f"{path}: {exc}") from exc
    origin = anatomy.eyes.mean(axis=0)
    mesh = replace(mesh, verts=mesh.verts - origin)
    anatomy = anatomy._replace(eyes=anatomy.eyes - origin, chin=anatomy.chin - origin)
    arrays = _assemble(mesh, anatomy)
    arrays["occlusion"] = occlusion(arrays).astype(np.float32)
    return arrays


def _in_metres(path: Path, mesh: Mesh) -> Mesh:
    height = float(np.ptp(mesh.verts[:, 1]))
    low, high = _HEIGHTS_M
    for unit in UNITS_M:
        if low < height * unit < high:
            deltas = {name: delta * unit for name, delta in mesh.deltas.items()}
            return replace(mesh, verts=mesh.verts * unit, deltas=deltas)
    raise MeshFileError(
        f"{path}: expected a head {low} to {high} m high, in metres, centimetres, millimetres or "
        f"inches, got {height:.4g} units"
    )


def _outwards(mesh: Mesh) -> Mesh:
    """Turn triangles around if they are clockwise seen from outside."""
    middle = (mesh.verts.max(axis=0) + mesh.verts.min(axis=0)) / 2
    normals = smooth_normals(mesh.verts, mesh.faces)
    if (normals * (mesh.verts - middle)).sum() >= 0:
        return mesh
    uv_faces = None if mesh.uv_faces is None else mesh.uv_faces[:, ::-1]
    return replace(mesh, faces=mesh.faces[:, ::-1], uv_faces=uv_faces)


def _arkit_deltas(given: dict[str, Floats]) -> dict[str, Floats]:
    """Those of ARKit's actions, in its order; others are left out."""
    named = {arkit_name(name): delta for name, delta in given.items()}
    return {name: named[name] for name in ARKIT_NAMES if name in named}


def _assemble(mesh: Mesh, anatomy: Anatomy) -> dict[str, NDArray[Any]]:
    own, driven = _own_part(mesh, anatomy), bool(mesh.deltas)
    parts = [own]
    if driven or len(anatomy.eyeballs):
        for side, centre in zip(("Left", "Right"), anatomy.eyes, strict=True):
            parts.append(_placed(eyeball(centre, anatomy.radius, side)))
    if driven and anatomy.mouth is not None:
        parts.append(_placed(_mouth(own, anatomy.mouth)))
    names = [part_material(name) for name in mesh.part_names]
    materials = np.array([MATERIALS.index(name) for name in names], np.uint8)[mesh.parts]
    closed = len(own.faces) - (len(mesh.faces) - len(anatomy.eyeballs))
    kept = np.delete(materials, anatomy.eyeballs)
    added = [np.full(len(p.faces), MATERIALS.index(p.material), np.uint8) for p in parts[1:]]
    starts = np.cumsum([0] + [len(p.verts) for p in parts])
    uv_starts = np.cumsum([0] + [len(p.uvs) for p in parts])
    expressions = len(mesh.deltas)
    return {
        "neutral": np.concatenate([p.verts for p in parts]).astype(np.float32),
        "faces": np.concatenate([p.faces + s for p, s in zip(parts, starts, strict=False)]).astype(
            np.int32
        ),
        "uvs": np.concatenate([p.uvs for p in parts]).astype(np.float32),
        "uv_faces": np.concatenate(
            [p.uv_faces + s for p, s in zip(parts, uv_starts, strict=False)]
        ).astype(np.int32),
        "expression_names": np.array(list(mesh.deltas), dtype=np.str_),
        "deltas": np.concatenate([p.deltas[:expressions] for p in parts], axis=1).astype(
            np.float32
        ),
        "joint_names": np.array(JOINTS),
        "joint_positions": _joints(mesh, anatomy).astype(np.float32),
        "weights": np.concatenate([p.weights for p in parts]).astype(np.float32),
        "eye_yaw_rad": np.array(EYE_YAW_RAD, np.float32),
        "eye_pitch_rad": np.array(EYE_PITCH_RAD, np.float32),
        "jaw_open_axis": np.zeros(3, np.float32),
        "materials": np.concatenate([kept, np.zeros(closed, np.uint8), *added]),
        "material_names": np.array(MATERIALS),
        "masks": np.concatenate([p.masks for p in parts]).astype(np.float32),
        "mask_names": np.array(MASKS),
        "look": np.array(Appearance().to_json()),
        **_base_colour(mesh),
        **_view(mesh, anatomy),
    }


def _own_part(mesh: Mesh, anatomy: Anatomy) -> Part:
    """What the file holds, without its eyeballs; in expressionless meshes with closed holes."""
    uvs, uv_faces = mesh.uvs, mesh.uv_faces
    if uvs is None or uv_faces is None:
        unrolled = unroll(mesh.verts.astype(np.float32), mesh.faces.astype(np.int32))
        uvs, uv_faces = unrolled[0].astype(np.float64), unrolled[1].astype(np.int64)
    if uvs.min() < 0 or uvs.max() > 1:
        uvs = (uvs - uvs.min(axis=0)) / np.ptp(uvs, axis=0)
    faces = np.delete(mesh.faces, anatomy.eyeballs, axis=0)
    uv_faces = np.delete(uv_faces, anatomy.eyeballs, axis=0)
    holes = [] if mesh.deltas else anatomy.holes
    texel = np.zeros(len(mesh.verts), np.int64)
    texel[faces] = uv_faces
    patches = [patch(mesh.verts, hole) for hole in holes]
    part = rigid_part("own", "skin", mesh.verts, faces, uvs * [1, _ADDED_TOP], uv_faces=uv_faces)
    return replace(
        part,
        faces=np.concatenate([faces, *patches]),
        uv_faces=np.concatenate([uv_faces, *(texel[p] for p in patches)]),
        deltas=np.array(list(mesh.deltas.values())).reshape(-1, *mesh.verts.shape),
        weights=joint_weights(_body_weight(mesh.verts, anatomy.chin)),
        masks=_masks(mesh.verts, anatomy),
    )


def _mouth(own: Part, loop: Ints) -> Part:
    """A dark pocket behind the hole of the mouth; its deeper rings move less than the lips."""
    rim, deltas = own.verts[loop], own.deltas[:, loop]
    middle = rim.mean(axis=0)
    rows = [(0.0, 1.0), (0.010, 1.05), (0.024, 0.95), (0.038, 0.55)]
    verts = [middle + (rim - middle) * width - [0, 0, depth] for depth, width in rows]
    moves = [deltas * (1 - 0.6 * depth / 0.038) for depth, _ in rows]
    verts.append((middle - [0, 0, 0.044])[None])
    moves.append(moves[-1].mean(axis=1, keepdims=True))
    count = len(loop)
    grid = np.arange(len(rows) * count).reshape(len(rows), count)
    right = np.roll(grid, -1, axis=1)
    quads = np.stack([grid[:-1], right[:-1], right[1:], grid[1:]], axis=-1).reshape(-1, 4)
    tip = np.full(count, len(rows) * count)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = np.concatenate([faces, np.stack([grid[-1], right[-1], tip], axis=1)])
    around = np.arange(count) * 2 * pi / count
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    uvs = np.concatenate([*(ring * (1 - 0.22 * i) for i in range(len(rows))), np.zeros((1, 2))])
    part = rigid_part("mouth", "mouth", np.concatenate(verts), faces, uvs)
    return replace(part, deltas=np.concatenate(moves, axis=1))


def _placed(part: Part) -> Part:
    """An added part with its texture in its box; the layout's centre is 0, its radius 1."""
    u, v, width, height = _BOXES[part.box]
    middle = np.array([u + width / 2, v + height / 2])
    return replace(part, uvs=middle + part.uvs * [0.47 * width, 0.47 * height])


def _masks(verts: Floats, anatomy: Anatomy) -> Floats:
    masks = np.zeros((len(verts), len(MASKS)))
    masks[:, MASKS.index("hair")] = _NO_HAIR
    if anatomy.mouth is not None:
        # The hole lies behind the lips, which are high in the middle and end at its corners.
        front = _distance(verts * _LIP_SHAPE, verts[anatomy.lips] * _LIP_SHAPE)
        lips = 1 - smoothstep(0.0045, 0.0085, front)
        behind = verts[anatomy.lips, 2].min() - 0.006
        masks[:, MASKS.index("lips")] = lips * (verts[:, 2] > behind)
    else:
        masks[anatomy.lips, MASKS.index("lips")] = 1
    for rim in anatomy.lids:
        near = _distance(verts, verts[rim])
        lids = 1 - smoothstep(0.002, 0.007, near)
        masks[:, MASKS.index("eyelids")] = np.maximum(masks[:, MASKS.index("eyelids")], lids)
    return masks


def _distance(verts: Floats, others: Floats) -> Floats:
    """(V,) metres to the nearest of a few others."""
    nearest = np.full(len(verts), np.inf)
    for other in others:
        nearest = np.minimum(nearest, np.linalg.norm(verts - other, axis=1))
    return nearest


def _body_weight(verts: Floats, chin: Floats) -> Floats:
    """(V,) how far each vertex stays with the body: none above the chin, all well below it."""
    return 1 - smoothstep(chin[1] - 0.075, chin[1] - 0.015, verts[:, 1])


def _joints(mesh: Mesh, anatomy: Anatomy) -> Floats:
    """(5, 3) base of the neck, head, jaw, eyes."""
    jaw = None
    if "jawOpen" in mesh.deltas:
        jaw = fit_jaw(mesh.verts, mesh.deltas["jawOpen"])
    neck = [0.0, anatomy.chin[1] - 0.03, -0.115]
    usual = [0.0, -0.034, -0.06]
    return np.array([neck, [0.0, -0.035, -0.08], usual if jaw is None else jaw, *anatomy.eyes])


def _base_colour(mesh: Mesh) -> dict[str, NDArray[Any]]:
    """The file's own picture above the added parts, if it has one that its layout fits."""
    if mesh.picture is None or mesh.uvs is None or mesh.uvs.min() < 0 or mesh.uvs.max() > 1:
        return {}
    height, width, _ = mesh.picture.shape
    size = (width, round(height * _ADDED_TOP))
    laid_out = np.zeros_like(mesh.picture)
    laid_out[: size[1]] = np.array(Image.fromarray(mesh.picture).resize(size))
    laid_out[..., 3] = np.where(laid_out[..., 3] > 127, 255, 0)
    return {"base_colour": laid_out}


def _view(mesh: Mesh, anatomy: Anatomy) -> dict[str, NDArray[Any]]:
    """A view from the front that shows all of the face, and of what lies below it the neck."""
    top = float(mesh.verts[:, 1].max())
    bottom = max(float(mesh.verts[:, 1].min()), float(anatomy.chin[1]) - 0.06)
    front = float(mesh.verts[:, 2].max())
    distance = front + (top - bottom) / 2 / tan(FOV_Y_RAD / 2) / 0.82
    return {
        "eye_position": np.array([0, (top + bottom) / 2, distance], np.float32),
        "fov_y_rad": np.array(FOV_Y_RAD, np.float32),
    }
