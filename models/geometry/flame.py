"""Converts FLAME model files to head files.

FLAME (Li et al. 2017) is a template plus shapes, expressions and correctives, skinned to five
joints. Shape is applied once, during conversion; expression and the rotation of the jaw become
coefficients of the head; the head's own rotation is part of its pose. Neck and eyes stay at rest.
FLAME is licensed separately, so no model file ships with the project: users bring their own.
"""

from __future__ import annotations

from math import radians
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.contract.shown_text import reason
from models.geometry.head import JOINTS, Head, HeadError
from models.geometry.head_file import check_limits, check_numbers
from models.geometry.jaw import JAW_COEFFICIENTS
from models.geometry.npz import is_numeric, is_within_limits, length, read_npz
from models.geometry.plain_pickle import PickleError, read_plain_pickle
from models.geometry.unwrap import unroll

Doubles = NDArray[np.float64]

SHAPES = 100
"""Shape components that are used."""
EXPRESSIONS = 50
"""Expression components that are used."""
_FIRST_EXPRESSION = 300
"""Index of the first expression in files with all 400 components (300 shapes, 100 expressions).
Smaller files hold `SHAPES` shapes, then expressions."""
_REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_MAX_OBJ_BYTES = 64 << 20
"""Maximum size of a texture layout; that of FLAME has 2 MB."""
_PARENTS = (0, 1, 1, 1)
"""Parent joints of neck, jaw, left and right eye in FLAME's kinematic tree."""

EXPRESSION_NAMES = tuple(f"exp{index:03d}" for index in range(EXPRESSIONS))
EYE_POSITION = (0.0, -0.02, 0.78)
"""Default eye position of a viewer, metres: the whole head is in the image."""
FOV_Y_RAD = radians(23)
"""Default vertical field of view for `EYE_POSITION`."""

COEFFICIENT_NAMES = (*EXPRESSION_NAMES, *JAW_COEFFICIENTS)
"""Coefficients of a FLAME head, in order."""
COEFFICIENT_RANGE = (-5.0, 5.0)
"""Expression components have unit variance, so 5 standard deviations; the jaw's are radians."""


class FlameModel(NamedTuple):
    """The arrays of a FLAME file."""

    template: Doubles
    """(V, 3) metres."""
    shapes: Doubles
    """(V, 3, 100) displacement per identity coefficient, metres."""
    expressions: Doubles
    """(V, 3, 50) displacement per expression coefficient, metres."""
    correctives: Doubles
    """(V, 3, 36) metres per entry of the rotation matrices of neck, jaw and eyes minus identity."""
    regressor: Doubles
    """(5, V) maps vertices to joint positions."""
    weights: Doubles
    """(V, 5) skinning weights of root, neck, jaw, left and right eye."""
    faces: NDArray[np.int32]
    """(F, 3) vertices of each triangle."""


class TextureSpace(NamedTuple):
    """A texture layout of FLAME's topology."""

    uvs: FloatArray
    """(T, 2) in 0..1, v downwards."""
    uv_faces: NDArray[np.int32]
    """(F, 3) rows of `uvs` for the corners of each triangle."""


def is_flame(head: Head) -> bool:
    """Return whether a head has all of FLAME's coefficients."""
    return set(COEFFICIENT_NAMES) <= set(head.expression_names)


def coefficient_range(head: Head) -> tuple[float, float]:
    """Return the least and the greatest value of a head's coefficients."""
    return COEFFICIENT_RANGE if is_flame(head) else (0.0, 1.0)


def load_flame(path: Path) -> FlameModel:
    """Read and check a FLAME file, `.pkl` or `.npz`.

    Raises:
        HeadError: If it is unreadable or incomplete, if arrays have other shapes than FLAME's, or
            if a pickle names anything but arrays.
    """
    arrays = _read(path)
    _check(path, arrays)
    components = arrays["shapedirs"].shape[2]
    first = _FIRST_EXPRESSION if components > _FIRST_EXPRESSION else SHAPES
    if components < first + EXPRESSIONS:
        raise HeadError(
            f"{path}: shapedirs must hold {SHAPES} shapes and {EXPRESSIONS} expressions, "
            f"got {components} components"
        )
    # In float64, as FLAME's files; values are rounded to float32 once, for the head file.
    doubles = {name: arrays[name].astype(np.float64) for name in _REQUIRED}
    return FlameModel(
        template=doubles["v_template"],
        shapes=doubles["shapedirs"][..., :SHAPES],
        expressions=doubles["shapedirs"][..., first : first + EXPRESSIONS],
        correctives=doubles["posedirs"],
        regressor=doubles["J_regressor"],
        weights=doubles["weights"],
        faces=arrays["f"].astype(np.int32),
    )


def load_texture_space(path: Path) -> TextureSpace:
    """Read a texture layout.

    Args:
        path: An `.npz` with `vt` and `ft`, as FLAME's texture files, or an `.obj`.

    Raises:
        HeadError: If the file is unreadable or holds no layout.
    """
    try:
        if path.suffix == ".obj":
            uvs, uv_faces = _obj_layout(path)
        else:
            file = read_npz(path, ("vt", "ft"))
            uvs, uv_faces = file["vt"], file["ft"]
    except KeyError as exc:
        raise HeadError(f"{path} is not a readable texture layout: it lacks {exc}") from exc
    except (OSError, ValueError, IndexError, OverflowError) as exc:
        raise HeadError(f"{path} is not a readable texture layout (vt, ft): {reason(exc)}") from exc
    if uvs.ndim != 2 or uvs.shape[1] < 2 or uv_faces.ndim != 2 or uv_faces.shape[1] != 3:
        raise HeadError(
            f"{path}: vt must be (T, 2) and ft (F, 3), got {uvs.shape} and {uv_faces.shape}"
        )
    if not (is_numeric(uvs) and is_numeric(uv_faces) and is_within_limits(uvs)):
        raise HeadError(f"{path}: vt and ft must be finite numbers")
    if uv_faces.size and not 0 <= uv_faces.min() <= uv_faces.max() < len(uvs):
        raise HeadError(f"{path}: ft must index 0..{len(uvs) - 1}")
    upright = uvs[:, :2].astype(np.float32) * [1, -1] + [0, 1]  # v points up in such files
    return TextureSpace(upright.astype(np.float32), uv_faces.astype(np.int32))


def flame_head(
    model: FlameModel, shape: Doubles | None = None, space: TextureSpace | None = None
) -> dict[str, NDArray[Any]]:
    """Convert a FLAME model to the arrays of a head file (`geometry/head.py`).

    Args:
        model: The model.
        shape: (S,) at most 100 shape coefficients; FLAME's mean face by default.
        space: A texture layout; a cylindrical projection by default.

    Returns:
        The arrays by their names in the head file.

    Raises:
        HeadError: If there are too many coefficients, or the layout has another topology.
    """
    shaped = model.template + _shape_change(model, shape)
    # The origin of head space is between the eyes.
    joints = model.regressor @ shaped
    origin = joints[3:].mean(axis=0)
    expressions = np.moveaxis(model.expressions, -1, 0)
    no_delta = np.zeros((len(JAW_COEFFICIENTS), *shaped.shape))
    # Expressions move the jaw joint (2) too, because it is regressed from the vertices.
    shifts = np.einsum("v,evc->ec", model.regressor[2], expressions)
    neutral = (shaped - origin).astype(np.float32)
    layout = _check_topology(space, model) if space else TextureSpace(*unroll(neutral, model.faces))
    # Our heads have +X to the person's left; which of FLAME's eyes that is, depends on the file.
    left = 3 if joints[3, 0] > joints[4, 0] else 4
    right = 7 - left
    # The neck stays at rest, so its skin follows the root, which is the head of our skeleton.
    root_and_neck = model.weights[:, 0] + model.weights[:, 1]
    weights = [np.zeros_like(root_and_neck), root_and_neck, model.weights[:, 2]]
    weights += [model.weights[:, left], model.weights[:, right]]
    return {
        "neutral": neutral,
        "faces": model.faces,
        "uvs": layout.uvs,
        "uv_faces": layout.uv_faces,
        "expression_names": np.array(COEFFICIENT_NAMES),
        "deltas": np.concatenate([expressions, no_delta]).astype(np.float32),
        "joint_names": np.array(JOINTS),
        "joint_positions": (joints[[0, 1, 2, left, right]] - origin).astype(np.float32),
        "weights": np.stack(weights, axis=1).astype(np.float32),
        # Eyes stay at rest, and the jaw rotates by `jaw_coefficients`.
        "eye_yaw_rad": np.array(0, np.float32),
        "eye_pitch_rad": np.array(0, np.float32),
        "jaw_open_axis": np.zeros(3, np.float32),
        "jaw_coefficients": np.arange(3, dtype=np.int32) + EXPRESSIONS,
        "jaw_shifts": np.concatenate([shifts, np.zeros((3, 3))]).astype(np.float32),
        # Entries 9 to 17 belong to the jaw, after nine of the neck.
        "jaw_correctives": np.moveaxis(model.correctives[..., 9:18], -1, 0).astype(np.float32),
        "eye_position": np.array(EYE_POSITION, np.float32),
        "fov_y_rad": np.array(FOV_Y_RAD, np.float32),
    }


def _read(path: Path) -> dict[str, Any]:
    """Read all arrays of a `.npz` or pickle file."""
    try:
        if path.suffix == ".npz":
            return dict(read_npz(path, _REQUIRED))
        return read_plain_pickle(path)
    except PickleError as exc:
        raise HeadError(str(exc)) from exc
    except (OSError, ValueError) as exc:
        raise HeadError(f"{path} is not a readable FLAME file: {exc}") from exc


def _check(path: Path, arrays: dict[str, Any]) -> None:
    """Check that all arrays are there, their shapes, finiteness, joint tree and indices."""
    missing = [name for name in _REQUIRED if not isinstance(arrays.get(name), np.ndarray)]
    if missing:
        raise HeadError(f"{path} is not a FLAME file: it lacks {', '.join(missing)}")
    vertices, components = length(arrays["v_template"]), (*arrays["shapedirs"].shape, 0, 0, 0)[2]
    expected = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, components),
        "posedirs": (vertices, 3, 36),
        "J_regressor": (5, vertices),
        "weights": (vertices, 5),
        "kintree_table": (2, 5),
        "f": (length(arrays["f"]), 3),
    }
    for name, shape in expected.items():
        check_numbers(path, name, arrays[name], shape)
        # Indices have limits of their own, below. The root's parent is 2^32 - 1.
        if name not in ("kintree_table", "f"):
            check_limits(path, name, arrays[name])
    parents = tuple(arrays["kintree_table"][0, 1:].astype(np.int64).tolist())
    if parents != _PARENTS:
        raise HeadError(
            f"{path}: joints must have the parents of FLAME's, {_PARENTS}, got {parents}"
        )
    if not 0 <= arrays["f"].min(initial=0) <= arrays["f"].max(initial=0) < vertices:
        raise HeadError(f"{path}: f must index 0..{vertices - 1}")


def _shape_change(model: FlameModel, shape: Doubles | None) -> Doubles:
    """Return the displacement (V, 3) of shape coefficients."""
    if shape is None:
        return np.zeros_like(model.template)
    if shape.ndim != 1 or len(shape) > SHAPES or not np.isfinite(shape).all():
        raise HeadError(f"shape must be at most {SHAPES} finite numbers, got {shape.shape}")
    return np.asarray(model.shapes[..., : len(shape)] @ shape)


def _check_topology(space: TextureSpace, model: FlameModel) -> TextureSpace:
    """Return the layout if it has the model's number of triangles."""
    if space.uv_faces.shape != model.faces.shape:
        raise HeadError(
            f"the texture layout must have {len(model.faces)} triangles, as the FLAME file, "
            f"got {len(space.uv_faces)}"
        )
    return space


def _obj_layout(path: Path) -> tuple[Doubles, NDArray[np.int64]]:
    """Read texture vertices (T, 2) and their indices per triangle (F, 3) from an `.obj` file."""
    if path.stat().st_size > _MAX_OBJ_BYTES:
        raise ValueError(f"expected at most {_MAX_OBJ_BYTES >> 20} MB")
    uvs: list[list[float]] = []
    faces: list[list[int]] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            match line.split(maxsplit=4):
                case ["vt", u, v, *_]:
                    uvs.append([float(u), float(v)])
                case ["f", a, b, c]:
                    # Corners are written v/vt or v/vt/vn, and indices start at 1.
                    faces.append([int(corner.split("/")[1]) - 1 for corner in (a, b, c)])
                case ["f", *_]:
                    raise ValueError("expected triangles")
    return np.array(uvs, np.float64), np.array(faces, np.int64)
