"""Normals in Triton against numba, to the bit."""

from __future__ import annotations

import numpy as np

from models.geometry.head import vertex_normals
from models.kernels.cuda.vertex_normals import adjacent_faces
from tests.models.kernels.cuda.conftest import Rendered


def test_normals_equal_numbas_to_the_bit(rendered: Rendered) -> None:
    head = rendered.plain.stage.head
    expected = vertex_normals(rendered.buffers.world[0].numpy(), head.faces)
    np.testing.assert_array_equal(rendered.buffers.normals[0], expected)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-6)


def test_adjacent_faces_are_listed_in_ascending_order_for_every_vertex() -> None:
    faces = np.array([[4, 1, 0], [1, 2, 0], [2, 4, 1]], np.int32)
    table = adjacent_faces(faces, 6)
    expected = [[0, 0, 1, -1, 0, -1], [1, 1, 2, -1, 2, -1], [-1, 2, -1, -1, -1, -1]]
    np.testing.assert_array_equal(table, expected)
