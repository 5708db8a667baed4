"""Imports a user's mesh: every array of a head file, from a GLB or an OBJ file.

The file's vertices come first and keep their order. A mesh with expressions gets eyeballs that turn
and, where it has none, a mouth cavity behind its lips. A mesh without expressions is driven by its
vertices alone: no vertices are added, and its holes are closed between the existing ones.

Distances without a source are chosen by eye, on renders of the ICT-FaceKit head and MediaPipe's
canonical face; all are metres on an adult's head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import pi, radians, tan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.contract.arkit import ARKIT_NAMES, arkit_name
from models.contract.frame_state import FloatArray
from models.contract.shown_text import shown
from models.geometry.smoothstep import smoothstep
from models.geometry.unwrap import unroll
from models.heads.anatomy import Anatomy, find_anatomy, fit_jaw, part_material
from models.heads.eyes import eyeball
from models.heads.gltf_file import MeshFileError
from models.heads.holes import patch
from models.heads.mesh_files import read_mesh
from models.heads.meshes import Floats, Ints, Mesh, smooth_normals
from models.heads.occlusion import occlusion
from models.heads.orientation import turn_upright
from models.heads.parts import JOINTS, MASKS, Part, joined_geometry, joint_weights, rigid_part
from models.heads.source import EYE_PITCH_RAD, EYE_YAW_RAD
from models.studio.appearance import Appearance
from models.studio.materials import MATERIALS

FOV_Y_RAD = radians(23)
UNITS_M = (1.0, 0.01, 0.001, 0.0254)
"""Metres per unit of a file. glTF prescribes metres, but many scans are in centimetres."""
_FLATTEST = 0.02
"""Least side of a mesh, as a share of its greatest one; masks have 0.3."""
_HEIGHTS_M = (0.12, 0.6)
"""Least and greatest height of a mesh, from a face mask to a bust."""
_ADDED_TOP = 0.87
"""v in the texture below which the added parts lie."""
_BOXES = {
    "eyeLeft": (0.005, 0.875, 0.12, 0.12),
    "eyeRight": (0.135, 0.875, 0.12, 0.12),
    "mouth": (0.265, 0.875, 0.12, 0.12),
}
"""u, v, width and height of each added part in the texture."""
_BOX_MARGIN = 0.47
"""Radius of an added part's round layout, as a share of its box: leaves 3 % against bleeding."""
_NO_HAIR = -1.0
"""Metres above the hairline, in the mask of the hair: far below it, so that none is painted."""

_LIP_SHAPE = np.array([2.2, 1.0, 0.0])
"""Weights of x, y and z in the distance to the lips, which are high in the middle and end at the
corners of the mouth."""
_LIPS_M = (0.0045, 0.0085)
"""Weighted distance to the mouth's hole within which skin is lip, and beyond which it is not."""
_LIP_DEPTH_M = 0.006
"""Lips end this far behind the rearmost vertex of the mouth's hole."""
_LIDS_M = (0.002, 0.007)
"""Distance to the hole of an eye within which skin is eyelid, and beyond which it is not."""

_MOUTH_RINGS = ((0.0, 1.0), (0.010, 1.05), (0.024, 0.95), (0.038, 0.55))
"""Rings of the mouth cavity: depth behind the lips in metres, and width relative to their hole. It
widens behind the teeth and narrows to the throat."""
_MOUTH_END_M = 0.044
"""Depth of the vertex that closes the cavity."""
_MOUTH_STIFFNESS = 0.6
"""Share of the lips' motion that the deepest ring does not follow."""
_MOUTH_UV_STEP = 0.22
"""Each ring's radius in the texture is smaller by this than the one before."""

_BODY_BELOW_CHIN_M = (0.075, 0.015)
"""Vertices this far below the chin belong to the body, and from here up to the head."""
_NECK_BELOW_CHIN_M, _NECK_Z_M = 0.03, -0.115
_HEAD_JOINT = (0.0, -0.035, -0.08)
_JAW_JOINT = (0.0, -0.034, -0.06)
"""Joints of the default head, rounded, from the middle between the eyes; that of the jaw is used
where none can be fitted."""

_SHOWN_BELOW_CHIN_M = 0.06
_FILLED = 0.82
"""Share of the image's height that the head fills in the recommended view."""
_SHOWN_NAMES = 6
"""Names of morph targets that a note lists."""
_LEAST_UV_SIDE = 1e-9  # of a layout that is scaled: none must divide by 0
_OPAQUE = 127
"""Alpha above which a resized texel of the base colour is valid."""


def _ignore(_note: str) -> None:
    """Report nothing."""


def import_head(path: Path, report: Callable[[str], None] = _ignore) -> dict[str, NDArray[Any]]:
    """Return all arrays of a head file (`models/geometry/head.py`) and of the studio's paint.

    Args:
        path: A `.glb`, `.gltf` or `.obj` file, +Y up, the face looking along +Z. A mesh whose
            expressions or eyes show that it is turned is turned back.
        report: Called with one line for each part of the file that was changed or is not used.

    Raises:
        MeshFileError: If the file is unreadable, does not have the size of a head, or its eyes
            cannot be found.
    """
    arrays = head_arrays(path, report)
    arrays["occlusion"] = occlusion(arrays).astype(np.float32)
    return arrays


def head_arrays(path: Path, report: Callable[[str], None] = _ignore) -> dict[str, NDArray[Any]]:
    """Return what `import_head` returns, without the occlusion, which takes most of the time."""
    mesh = read_mesh(path)
    for note in mesh.notes:
        report(note)
    mesh = replace(mesh, deltas=arkit_deltas(path, mesh.deltas, report))
    try:
        mesh, turned = turn_upright(mesh)
        if turned is not None:
            report(turned)
        mesh = _outwards(_in_metres(mesh))
        anatomy = find_anatomy(mesh)
    except MeshFileError as exc:
        raise MeshFileError(f"{path}: {exc}") from exc
    origin = anatomy.eyes.mean(axis=0)
    mesh = replace(mesh, verts=mesh.verts - origin)
    anatomy = anatomy._replace(eyes=anatomy.eyes - origin, chin=anatomy.chin - origin)
    return _assemble(mesh, anatomy)


def _in_metres(mesh: Mesh) -> Mesh:
    """Scale by the first of `UNITS_M` that gives the height of a head."""
    sides = np.ptp(mesh.verts, axis=0)
    if sides.min() < _FLATTEST * sides.max():
        raise MeshFileError(
            "expected a head, got a mesh that is flat: {:.4g} x {:.4g} x {:.4g} units".format(
                *sides
            )
        )
    height = float(sides[1])
    low, high = _HEIGHTS_M
    # Ranges of units overlap (centimetres and inches): the more usual unit comes first.
    for unit in UNITS_M:
        if low < height * unit < high:
            deltas = {name: delta * unit for name, delta in mesh.deltas.items()}
            return replace(mesh, verts=mesh.verts * unit, deltas=deltas)
    raise MeshFileError(
        f"expected a head {low} to {high} m high, in metres, centimetres, millimetres or "
        f"inches, got {height:.4g} units"
    )


def _outwards(mesh: Mesh) -> Mesh:
    """Flip all triangles if they are clockwise seen from outside.

    The sign of trimesh's volume agrees on all test meshes, but takes twice as long.
    """
    middle = (mesh.verts.max(axis=0) + mesh.verts.min(axis=0)) / 2
    normals = smooth_normals(mesh.verts, mesh.faces)
    if (normals * (mesh.verts - middle)).sum() >= 0:
        return mesh
    uv_faces = None if mesh.uv_faces is None else mesh.uv_faces[:, ::-1]
    return replace(mesh, faces=mesh.faces[:, ::-1], uv_faces=uv_faces)


def arkit_deltas(
    path: Path, given: dict[str, FloatArray], report: Callable[[str], None]
) -> dict[str, FloatArray]:
    """Return the expressions with an ARKit name, by that name and in the order of all names.

    Parts of one head have targets of their own, with names that can differ by a prefix: together
    they are one expression. Of several that move the same vertices the first one counts.
    """
    named: dict[str, FloatArray] = {}
    unused = []
    for given_name, delta in given.items():
        name = arkit_name(given_name)
        if name is None or (name in named and (named[name].any(1) & delta.any(1)).any()):
            unused.append(shown(given_name))
        else:
            named[name] = named[name] + delta if name in named else delta
    more = " ..." if len(unused) > _SHOWN_NAMES else ""
    found = ", ".join(unused[:_SHOWN_NAMES]) + more
    if given and not named:
        raise MeshFileError(
            f"{path}: expected morph targets with ARKit's names, such as jawOpen, got {found}"
        )
    if unused:
        report(f"morph targets that are not used: {found}")
    if still := [name for name, delta in named.items() if not delta.any()]:
        report(f"morph targets that move nothing: {', '.join(still[:_SHOWN_NAMES])}")
    return {name: named[name] for name in ARKIT_NAMES if name in named}


def _assemble(mesh: Mesh, anatomy: Anatomy) -> dict[str, NDArray[Any]]:
    own, driven = _own_part(mesh, anatomy), bool(mesh.deltas)
    # First, so that the vertices of the file keep their indices.
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
    expressions = len(mesh.deltas)
    return {
        **joined_geometry(parts),
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
    """Return the file's own mesh without eyeballs; without expressions, with its holes closed."""
    uvs, uv_faces = mesh.uvs, mesh.uv_faces
    if uvs is None or uv_faces is None:
        unrolled = unroll(mesh.verts.astype(np.float32), mesh.faces.astype(np.int32))
        uvs, uv_faces = unrolled[0].astype(np.float64), unrolled[1].astype(np.int64)
    # Layouts that tile the texture are scaled into the unit square: parts are added below it.
    if uvs.min() < 0 or uvs.max() > 1:
        uvs = (uvs - uvs.min(axis=0)) / np.maximum(np.ptp(uvs, axis=0), _LEAST_UV_SIDE)
    faces = np.delete(mesh.faces, anatomy.eyeballs, axis=0)
    uv_faces = np.delete(uv_faces, anatomy.eyeballs, axis=0)
    holes = [] if mesh.deltas else anatomy.holes
    # Patches take the texture of the rim: new coordinates would show as a seam.
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
    """Return a cavity behind the hole of the mouth; its deeper rings move less than the lips.

    Args:
        own: The file's mesh with its deltas.
        loop: (n,) vertices around the hole, in order.
    """
    rim, deltas = own.verts[loop], own.deltas[:, loop]
    middle = rim.mean(axis=0)
    deepest, _ = _MOUTH_RINGS[-1]
    verts = [middle + (rim - middle) * width - [0, 0, depth] for depth, width in _MOUTH_RINGS]
    moves = [deltas * (1 - _MOUTH_STIFFNESS * depth / deepest) for depth, _ in _MOUTH_RINGS]
    verts.append((middle - [0, 0, _MOUTH_END_M])[None])
    moves.append(moves[-1].mean(axis=1, keepdims=True))
    rings, count = len(_MOUTH_RINGS), len(loop)
    grid = np.arange(rings * count).reshape(rings, count)
    right = np.roll(grid, -1, axis=1)
    quads = np.stack([grid[:-1], right[:-1], right[1:], grid[1:]], axis=-1).reshape(-1, 4)
    tip = np.full(count, rings * count)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    faces = np.concatenate([faces, np.stack([grid[-1], right[-1], tip], axis=1)])
    around = np.arange(count) * 2 * pi / count
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    radii = [1 - _MOUTH_UV_STEP * i for i in range(rings)]
    uvs = np.concatenate([*(ring * radius for radius in radii), np.zeros((1, 2))])
    part = rigid_part("mouth", "mouth", np.concatenate(verts), faces, uvs)
    return replace(part, deltas=np.concatenate(moves, axis=1))


def _placed(part: Part) -> Part:
    """Move an added part's texture, of centre 0 and radius 1, into its box."""
    u, v, width, height = _BOXES[part.box]
    middle = np.array([u + width / 2, v + height / 2])
    return replace(part, uvs=middle + part.uvs * [_BOX_MARGIN * width, _BOX_MARGIN * height])


def _masks(verts: Floats, anatomy: Anatomy) -> Floats:
    """Return (V, len(MASKS)) where lips and eyelids are; nothing else is known of a user's mesh."""
    masks = np.zeros((len(verts), len(MASKS)))
    masks[:, MASKS.index("hair")] = _NO_HAIR
    if anatomy.mouth is not None:
        # The hole lies behind the lips, so that depth does not count in the distance.
        front = _distance(verts * _LIP_SHAPE, verts[anatomy.lips] * _LIP_SHAPE)
        lips = 1 - smoothstep(*_LIPS_M, front)
        behind = verts[anatomy.lips, 2].min() - _LIP_DEPTH_M
        masks[:, MASKS.index("lips")] = lips * (verts[:, 2] > behind)
    else:
        masks[anatomy.lips, MASKS.index("lips")] = 1
    for rim in anatomy.lids:
        near = _distance(verts, verts[rim])
        lids = 1 - smoothstep(*_LIDS_M, near)
        masks[:, MASKS.index("eyelids")] = np.maximum(masks[:, MASKS.index("eyelids")], lids)
    return masks


def _distance(verts: Floats, others: Floats) -> Floats:
    """Return (V,) the distance to the nearest of `others` (n, 3), in metres."""
    nearest = np.full(len(verts), np.inf)
    for other in others:
        nearest = np.minimum(nearest, np.linalg.norm(verts - other, axis=1))
    return nearest


def _body_weight(verts: Floats, chin: Floats) -> Floats:
    """Return (V,) the weight of the body: 0 from the chin up, 1 well below it."""
    low, high = _BODY_BELOW_CHIN_M
    return 1 - smoothstep(chin[1] - low, chin[1] - high, verts[:, 1])


def _joints(mesh: Mesh, anatomy: Anatomy) -> Floats:
    """Return (5, 3) the joints: base of the neck, head, jaw, left and right eye."""
    jaw = None
    # The jaw turns about the hinge that the mesh was modelled with, where its motion shows one.
    if "jawOpen" in mesh.deltas:
        jaw = fit_jaw(mesh.verts, mesh.deltas["jawOpen"].astype(np.float64))
    neck = [0.0, anatomy.chin[1] - _NECK_BELOW_CHIN_M, _NECK_Z_M]
    return np.array([neck, _HEAD_JOINT, _JAW_JOINT if jaw is None else jaw, *anatomy.eyes])


def _base_colour(mesh: Mesh) -> dict[str, NDArray[Any]]:
    """Return the file's base colour image above the added parts, if its UVs lie within it."""
    if mesh.image is None or mesh.uvs is None or mesh.uvs.min() < 0 or mesh.uvs.max() > 1:
        return {}
    height, width, _ = mesh.image.shape
    size = (width, round(height * _ADDED_TOP))
    # Rows below stay invalid, so that the studio paints the added parts.
    laid_out = np.zeros_like(mesh.image)
    laid_out[: size[1]] = np.array(Image.fromarray(mesh.image).resize(size))
    laid_out[..., 3] = np.where(laid_out[..., 3] > _OPAQUE, 255, 0)
    return {"base_colour": laid_out}


def _view(mesh: Mesh, anatomy: Anatomy) -> dict[str, NDArray[Any]]:
    """Return a view from the front that shows the whole face and the neck below it."""
    top = float(mesh.verts[:, 1].max())
    bottom = max(float(mesh.verts[:, 1].min()), float(anatomy.chin[1]) - _SHOWN_BELOW_CHIN_M)
    front = float(mesh.verts[:, 2].max())
    distance = front + (top - bottom) / 2 / tan(FOV_Y_RAD / 2) / _FILLED
    return {
        "eye_position": np.array([0, (top + bottom) / 2, distance], np.float32),
        "fov_y_rad": np.array(FOV_Y_RAD, np.float32),
    }
