"""The parametric head: turns expression coefficients and a pose into vertices in the world."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import quaternion_to_matrix, rotation_vector_to_quaternion
from models.geometry.jaw import FreeJaw
from models.geometry.mesh_edges import MeshEdges, find_mesh_edges

IntArray = NDArray[np.int32]

JOINTS = ("body", "head", "jaw", "eyeLeft", "eyeRight")
"""Joints of a head file, in the order of its weights. "body" is at the base of the neck."""


class HeadError(ValueError):
    """A head file is invalid, or coefficients or vertices do not fit a head."""


class JointPose(NamedTuple):
    """How an expression moves jaw, left eye and right eye, in head space."""

    rotations: FloatArray
    """(3, 3, 3) rotation matrices."""
    centres: FloatArray
    """(3, 3) metres: the joints that they rotate about."""
    correctives: FloatArray
    """Coefficients of `FreeJaw.correctives`; none for other jaws."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head's topology, blend shapes and joints; `pose` combines them."""

    neutral: FloatArray
    """(V, 3) metres; the origin lies between the eyes, the face looks along +Z."""
    faces: IntArray
    """(F, 3) vertices, counter-clockwise seen from outside."""
    uvs: FloatArray
    """(T, 2) in 0..1, v downwards: (0, 0) is the top left corner of the texture image."""
    uv_faces: IntArray
    """(F, 3) rows of `uvs` for the corners of `faces`."""
    expression_names: tuple[str, ...]
    deltas: FloatArray
    """(E, V * 3) displacement in metres per coefficient at 1."""
    joint_positions: FloatArray
    """(J, 3) metres in head space, in the order of `JOINTS`."""
    weights: FloatArray
    """(V, J) skinning weights; each row sums to 1."""
    eye_yaw_rad: float
    """Rotation of an eye at `eyeLookIn*` or `eyeLookOut*` = 1."""
    eye_pitch_rad: float
    """Rotation of an eye at `eyeLookUp*` or `eyeLookDown*` = 1."""
    jaw_open_axis: FloatArray
    """(3,) rotation vector of the jaw at `jawOpen` = 1, radians."""
    free_jaw: FreeJaw | None = None
    """For heads whose jaw has three degrees of freedom; replaces `jaw_open_axis`."""
    edges: MeshEdges = field(init=False)
    """Edges of `faces`."""

    def __post_init__(self) -> None:
        """Find the edges of the mesh, once for all frames."""
        object.__setattr__(self, "edges", find_mesh_edges(self.faces))

    def with_neutral(self, neutral: FloatArray) -> Head:
        """Return this head with other vertices (V, 3) at rest.

        Its edges are not searched again, unlike by `dataclasses.replace`: fits try hundreds.
        """
        other = copy(self)
        object.__setattr__(other, "neutral", neutral)
        return other

    @property
    def neck(self) -> FloatArray:
        """(3,) base of the neck in head space, metres: the pivot of natural head rotations."""
        neck: FloatArray = self.joint_positions[0]
        return neck

    def shape(self, expression: FloatArray) -> FloatArray:
        """Compute the vertices of an expression, in head space.

        Args:
            expression: (E,) coefficients.

        Returns:
            (V, 3) metres: neutral plus deltas, then jaw and eyes rotated about their joints.

        Raises:
            HeadError: If the number of coefficients is not this head's.
        """
        self._check_expression(expression)
        verts = _blend(self.neutral, self.deltas, expression)
        joints = self.joints(expression)
        if self.free_jaw is not None:
            # Correctives apply before the rotation, as in FLAME.
            verts = _blend(verts, self.free_jaw.correctives, joints.correctives)
        # Body and head, the first two joints, are part of the pose and not of the expression.
        _rotate_about_joints(verts, self.weights[:, 2:], joints.rotations, joints.centres)
        return verts

    def joints(self, expression: FloatArray) -> JointPose:
        """Compute how an expression (E,) moves jaw and eyes."""
        rotations, centres = self._joint_rotations(expression), self.joint_positions[2:]
        if self.free_jaw is None:
            return JointPose(rotations, centres, np.zeros(0, np.float32))
        rotations[0] = self.free_jaw.rotation(expression)
        # Pose correctives are linear in the rotation matrix minus identity (SMPL, Loper et al.
        # 2015; FLAME does the same).
        jaw_feature = (rotations[0] - np.eye(3, dtype=np.float32)).reshape(-1)
        centres = centres.copy()  # a view of this head's own joints
        centres[0] += self.free_jaw.shift(expression)
        return JointPose(rotations, centres, jaw_feature)

    def check(self, state: FrameState) -> None:
        """Check that `pose` can pose a state.

        Raises:
            HeadError: If the state's coefficients or vertices do not fit this head.
        """
        if state.vertices is None:
            self._check_expression(state.expression)
        elif state.vertices.shape != self.neutral.shape:
            raise HeadError(f"vertices must be {self.neutral.shape}, got {state.vertices.shape}")

    def _check_expression(self, expression: FloatArray) -> None:
        if expression.shape != (len(self.expression_names),):
            raise HeadError(
                f"expression must be ({len(self.expression_names)},), got {expression.shape}"
            )

    def pose(self, state: FrameState) -> FloatArray:
        """Compute the vertices of a state, in the world.

        The state's rotation and translation map head space to world. The body only translates with
        the base of the neck, and the skin of the neck blends between both. A state's own `vertices`
        replace the expression and are transformed rigidly.

        Args:
            state: Expression or vertices, and the head's pose.

        Returns:
            (V, 3) metres, world.

        Raises:
            HeadError: If the state's coefficients or vertices do not fit this head.
        """
        rotation = quaternion_to_matrix(state.head_rotation).astype(np.float32)
        if state.vertices is not None:
            self.check(state)
            # The sender has posed them already, neck and body included.
            no_body = np.zeros((len(state.vertices), 1), np.float32)
            return _to_world(state.vertices, rotation, state.head_translation, no_body, self.neck)
        verts = self.shape(state.expression)
        return _to_world(verts, rotation, state.head_translation, self.weights, self.neck)

    def _joint_rotations(self, expression: FloatArray) -> NDArray[np.float32]:
        """Return (3, 3, 3) rotation matrices of jaw, left eye and right eye, in head space."""
        value = self._coefficients(expression)
        jaw = self.jaw_open_axis * value("jawOpen")
        vectors = [jaw]
        for side, outwards in (("Left", 1.0), ("Right", -1.0)):  # the person's left is +X
            out = value(f"eyeLookOut{side}") - value(f"eyeLookIn{side}")
            # About +Y: a positive yaw turns an eye towards +X, outwards for the left one alone.
            yaw = outwards * out * self.eye_yaw_rad
            pitch = (value(f"eyeLookDown{side}") - value(f"eyeLookUp{side}")) * self.eye_pitch_rad
            vectors.append(np.array([pitch, yaw, 0], np.float32))
        matrices = [quaternion_to_matrix(rotation_vector_to_quaternion(v)) for v in vectors]
        return np.stack(matrices).astype(np.float32)

    def _coefficients(self, expression: FloatArray) -> Callable[[str], float]:
        """Return a function from a coefficient's name to its value, 0 for names of other heads."""
        names, values = self.expression_names, expression.tolist()
        return lambda name: values[names.index(name)] if name in names else 0.0


# Loops instead of numpy's matrix products: those wake BLAS threads, which then spin for a while and
# occupy the core that the encoder and the full renders need.


@njit(cache=True, nogil=True, fastmath=True)
def _blend(neutral: FloatArray, deltas: FloatArray, expression: FloatArray) -> FloatArray:
    """Return neutral (V, 3) plus the deltas (E, V * 3) of the non-zero coefficients (E,)."""
    verts = neutral.copy()
    flat = verts.reshape(-1)
    for e in range(expression.shape[0]):
        coefficient = expression[e]
        # Most coefficients of a face are 0, and each costs a pass over all vertices.
        if coefficient != 0:
            delta = deltas[e]
            for i in range(flat.shape[0]):
                flat[i] += coefficient * delta[i]
    return verts


@njit(cache=True, nogil=True)
def _to_world(
    verts: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
    weights: FloatArray,
    neck: FloatArray,
) -> FloatArray:
    """Map head space (V, 3) to world; `weights[:, 0]` is the share that does not rotate."""
    world = np.empty_like(verts)
    for k in range(3):
        turned_neck = np.float32(0)
        for j in range(3):
            turned_neck += rotation[k, j] * neck[j]
        # How far the base of the neck moves: the body follows it without turning.
        shift = turned_neck + translation[k] - neck[k]
        for v in range(verts.shape[0]):
            head = translation[k]
            for j in range(3):
                head += rotation[k, j] * verts[v, j]
            world[v, k] = head + weights[v, 0] * (verts[v, k] + shift - head)
    return world


@njit(cache=True, nogil=True)
def _rotate_about_joints(
    verts: FloatArray, weights: FloatArray, rotations: FloatArray, centres: FloatArray
) -> None:
    """Rotate `verts` (V, 3) in place about each joint (J, 3), by its weight (V, J)."""
    for v in range(verts.shape[0]):
        for j in range(weights.shape[1]):
            w = weights[v, j]
            if w == 0:
                continue
            x = verts[v, 0] - centres[j, 0]
            y = verts[v, 1] - centres[j, 1]
            z = verts[v, 2] - centres[j, 2]
            r = rotations[j]
            verts[v, 0] += w * (r[0, 0] * x + r[0, 1] * y + r[0, 2] * z - x)
            verts[v, 1] += w * (r[1, 0] * x + r[1, 1] * y + r[1, 2] * z - y)
            verts[v, 2] += w * (r[2, 0] * x + r[2, 1] * y + r[2, 2] * z - z)


@njit(cache=True, nogil=True)
def vertex_normals(verts: FloatArray, faces: IntArray) -> FloatArray:
    """Compute smooth unit normals, weighted by the areas of the faces.

    Args:
        verts: (V, 3) metres.
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
        # The cross product's length is twice the area: no normalisation, so areas weigh.
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
