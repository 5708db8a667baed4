"""The parametric head: expression coefficients and a pose in, vertices in the world out.

Knows nothing of pictures. The file it loads is written by `scripts/bake_head.py`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import quaternion_to_matrix, rotation_vector_to_quaternion
from models.geometry.jaw import FreeJaw

IntArray = NDArray[np.int32]

JOINTS = ("body", "head", "jaw", "eyeLeft", "eyeRight")
"""What a head file's weights refer to. "body" sits at the base of the neck."""

_REQUIRED = (
    "neutral",
    "faces",
    "uvs",
    "uv_faces",
    "expression_names",
    "deltas",
    "joint_names",
    "joint_positions",
    "weights",
    "eye_yaw_rad",
    "eye_pitch_rad",
    "jaw_open_axis",
)
_FREE_JAW = ("jaw_coefficients", "jaw_shifts", "jaw_correctives")
"""All or none of a head file's."""


class HeadError(ValueError):
    """A head file, or a shape given for a head, is not what it should be."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head's topology, shapes and joints. See `pose` for how they act together."""

    neutral: FloatArray
    """(V, 3) metres; the origin lies between the eyes, the face looks along +Z."""
    faces: IntArray
    """(F, 3) vertices, counter-clockwise seen from outside."""
    uvs: FloatArray
    """(T, 2) in 0..1, v downwards: (0, 0) is the top left corner of the texture picture."""
    uv_faces: IntArray
    """(F, 3) rows of `uvs`, corner by corner of `faces`."""
    expression_names: tuple[str, ...]
    deltas: FloatArray
    """(E, V * 3) metres moved per coefficient at 1."""
    joint_positions: FloatArray
    """(J, 3) metres in head space, in the order of `JOINTS`."""
    weights: FloatArray
    """(V, J); each row sums to 1."""
    eye_yaw_rad: float
    """An eye's turn at `eyeLookIn*`/`eyeLookOut*` = 1."""
    eye_pitch_rad: float
    """An eye's turn at `eyeLookUp*`/`eyeLookDown*` = 1."""
    jaw_open_axis: FloatArray
    """(3,) rotation vector of the jaw at `jawOpen` = 1, radians."""
    free_jaw: FreeJaw | None = None
    """For heads whose jaw turns any way, instead of by `jaw_open_axis`."""

    @property
    def neck(self) -> FloatArray:
        """(3,) base of the neck: the point that heads turn about."""
        neck: FloatArray = self.joint_positions[0]
        return neck

    def shape(self, expression: FloatArray) -> FloatArray:
        """Shape the face in head space.

        Args:
            expression: (E,) coefficients.

        Returns:
            (V, 3) metres: neutral plus deltas, then jaw and eyes turned about their joints.

        Raises:
            HeadError: If the number of coefficients is not this head's.
        """
        if expression.shape != (len(self.expression_names),):
            raise HeadError(
                f"expression must be ({len(self.expression_names)},), got {expression.shape}"
            )
        verts = _blend(self.neutral, self.deltas, expression)
        turns, centres = self._joint_rotations(expression), self.joint_positions[2:]
        if self.free_jaw is not None:
            turns[0] = self.free_jaw.rotation(expression)
            turned = (turns[0] - np.eye(3, dtype=np.float32)).reshape(-1)
            verts = _blend(verts, self.free_jaw.correctives, turned)
            centres = centres.copy()
            centres[0] += self.free_jaw.shift(expression)
        _turn_about_joints(verts, self.weights[:, 2:], turns, centres)
        return verts

    def pose(self, state: FrameState) -> FloatArray:
        """Shape the face and place it in the world.

        Head space goes through the state's rotation and translation. The body follows the base of
        the neck without turning, and the neck blends between both. Given vertices are taken as they
        are and only placed.

        Args:
            state: Expression or vertices, and the head's pose.

        Returns:
            (V, 3) metres, world.

        Raises:
            HeadError: If the state's coefficients or vertices do not fit this head.
        """
        rotation = quaternion_to_matrix(state.head_rotation).astype(np.float32)
        if state.vertices is not None:
            if state.vertices.shape != self.neutral.shape:
                raise HeadError(
                    f"vertices must be {self.neutral.shape}, got {state.vertices.shape}"
                )
            nowhere = np.zeros((len(state.vertices), 1), np.float32)
            return _place(state.vertices, rotation, state.head_translation, nowhere, self.neck)
        verts = self.shape(state.expression)
        return _place(verts, rotation, state.head_translation, self.weights, self.neck)

    def _joint_rotations(self, expression: FloatArray) -> NDArray[np.float32]:
        """(3, 3, 3) rotation matrices of jaw, left eye and right eye, in head space."""
        of = self._coefficients(expression)
        jaw = self.jaw_open_axis * of("jawOpen")
        turns = [jaw]
        for side, outwards in (("Left", 1.0), ("Right", -1.0)):  # the person's left is +X
            yaw = outwards * (of(f"eyeLookOut{side}") - of(f"eyeLookIn{side}")) * self.eye_yaw_rad
            pitch = (of(f"eyeLookDown{side}") - of(f"eyeLookUp{side}")) * self.eye_pitch_rad
            turns.append(np.array([pitch, yaw, 0], np.float32))
        matrices = [quaternion_to_matrix(rotation_vector_to_quaternion(t)) for t in turns]
        return np.stack(matrices).astype(np.float32)

    def _coefficients(self, expression: FloatArray) -> Callable[[str], float]:
        names, values = self.expression_names, expression.tolist()
        return lambda name: values[names.index(name)] if name in names else 0.0


# Loops instead of matrix products: numpy's would wake BLAS threads, which then spin for a while and
# take the core that the encoder and the full renders need.


@njit(cache=True, nogil=True, fastmath=True)
def _blend(neutral: FloatArray, deltas: FloatArray, expression: FloatArray) -> FloatArray:
    """(V, 3) neutral plus the deltas (E, V * 3) of all coefficients (E,) that are not zero."""
    verts = neutral.copy()
    flat = verts.reshape(-1)
    for e in range(expression.shape[0]):
        coefficient = expression[e]
        if coefficient != 0:
            delta = deltas[e]
            for i in range(flat.shape[0]):
                flat[i] += coefficient * delta[i]
    return verts


@njit(cache=True, nogil=True)
def _place(
    verts: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
    weights: FloatArray,
    neck: FloatArray,
) -> FloatArray:
    """Head space (V, 3) to world; what has `weights[:, 0]` follows the neck without turning."""
    placed = np.empty_like(verts)
    for k in range(3):
        turned_neck = np.float32(0)
        for j in range(3):
            turned_neck += rotation[k, j] * neck[j]
        shift = turned_neck + translation[k] - neck[k]
        for v in range(verts.shape[0]):
            head = translation[k]
            for j in range(3):
                head += rotation[k, j] * verts[v, j]
            placed[v, k] = head + weights[v, 0] * (verts[v, k] + shift - head)
    return placed


@njit(cache=True, nogil=True)
def _turn_about_joints(
    verts: FloatArray, weights: FloatArray, turns: FloatArray, centres: FloatArray
) -> None:
    """Move `verts` (V, 3) in place by each joint's rotation, as far as its weight (V, J) goes."""
    for v in range(verts.shape[0]):
        for j in range(weights.shape[1]):
            w = weights[v, j]
            if w == 0:
                continue
            x = verts[v, 0] - centres[j, 0]
            y = verts[v, 1] - centres[j, 1]
            z = verts[v, 2] - centres[j, 2]
            r = turns[j]
            verts[v, 0] += w * (r[0, 0] * x + r[0, 1] * y + r[0, 2] * z - x)
            verts[v, 1] += w * (r[1, 0] * x + r[1, 1] * y + r[1, 2] * z - y)
            verts[v, 2] += w * (r[2, 0] * x + r[2, 1] * y + r[2, 2] * z - z)


@njit(cache=True, nogil=True)
def vertex_normals(verts: FloatArray, faces: IntArray) -> FloatArray:
    """Smooth unit normals, each face counted by its area.

    Args:
        verts: (V, 3).
        faces: (F, 3), counter-clockwise seen from outside.

    Returns:
        (V, 3) unit vectors; zero for vertices without a face.
    """
    normals = np.zeros_like(verts)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = verts[b, 0] - verts[a, 0], verts[b, 1] - verts[a, 1], verts[b, 2] - verts[a, 2]
        wx, wy, wz = verts[c, 0] - verts[a, 0], verts[c, 1] - verts[a, 1], verts[c, 2] - verts[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for v in range(verts.shape[0]):
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        length = np.sqrt(x * x + y * y + z * z)
        if length > 0:
            normals[v, 0], normals[v, 1], normals[v, 2] = x / length, y / length, z / length
    return normals


def load_head(path: Path) -> Head:
    """Read and check a head file.

    Raises:
        HeadError: If the file is missing, unreadable, incomplete or contradicts itself.
    """
    try:
        # Opened here: numpy leaves a file open that it finds to be broken.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {n: file[n] for n in (*_REQUIRED, *_FREE_JAW) if n in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as exc:
        raise HeadError(f"{path} is not a readable head file: {exc}") from exc
    free_jaw = any(name in arrays for name in _FREE_JAW)
    required = (*_REQUIRED, *_FREE_JAW) if free_jaw else _REQUIRED
    missing = [name for name in required if name not in arrays]
    if missing:
        raise HeadError(f"{path} lacks {', '.join(missing)}")
    _check(path, arrays)
    vertices = len(arrays["neutral"])
    return Head(
        neutral=np.ascontiguousarray(arrays["neutral"], np.float32),
        faces=np.ascontiguousarray(arrays["faces"], np.int32),
        uvs=np.ascontiguousarray(arrays["uvs"], np.float32),
        uv_faces=np.ascontiguousarray(arrays["uv_faces"], np.int32),
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        deltas=arrays["deltas"].astype(np.float32).reshape(len(arrays["deltas"]), vertices * 3),
        joint_positions=np.ascontiguousarray(arrays["joint_positions"], np.float32),
        weights=np.ascontiguousarray(arrays["weights"], np.float32),
        eye_yaw_rad=float(arrays["eye_yaw_rad"]),
        eye_pitch_rad=float(arrays["eye_pitch_rad"]),
        jaw_open_axis=np.asarray(arrays["jaw_open_axis"], np.float32),
        free_jaw=_free_jaw(arrays) if free_jaw else None,
    )


def _free_jaw(arrays: dict[str, NDArray[Any]]) -> FreeJaw:
    return FreeJaw(
        coefficients=arrays["jaw_coefficients"].astype(np.int32),
        shifts=arrays["jaw_shifts"].astype(np.float32),
        correctives=arrays["jaw_correctives"].astype(np.float32).reshape(9, -1),
    )


def _check(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    vertices, triangles = len(arrays["neutral"]), len(arrays["faces"])
    expressions = len(arrays["expression_names"])
    expected = {
        "neutral": (vertices, 3),
        "faces": (triangles, 3),
        "uv_faces": (triangles, 3),
        "uvs": (len(arrays["uvs"]), 2),
        "deltas": (expressions, vertices, 3),
        "joint_positions": (len(JOINTS), 3),
        "weights": (vertices, len(JOINTS)),
        "jaw_open_axis": (3,),
        "jaw_coefficients": (3,),
        "jaw_shifts": (expressions, 3),
        "jaw_correctives": (9, vertices, 3),
    }
    for name, shape in expected.items():
        if name not in arrays:
            continue  # a head whose jaw only opens
        if arrays[name].shape != shape:
            raise HeadError(f"{path}: {name} must be {shape}, got {arrays[name].shape}")
        if not np.isfinite(arrays[name]).all():
            raise HeadError(f"{path}: {name} has values that are not finite")
    if tuple(arrays["joint_names"]) != JOINTS:
        raise HeadError(f"{path}: joint_names must be {JOINTS}, got {tuple(arrays['joint_names'])}")
    indices = {"faces": vertices, "uv_faces": len(arrays["uvs"]), "jaw_coefficients": expressions}
    for name, count in indices.items():
        values = arrays.get(name, np.zeros(0))
        if values.size and not 0 <= values.min() <= values.max() < count:
            raise HeadError(f"{path}: {name} must index 0..{count - 1}")
