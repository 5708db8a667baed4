"""Blends at silhouettes in Triton against numba's, to the bit."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.geometry import rasterizer_numba
from models.geometry.mesh_edges import find_mesh_edges
from models.geometry.silhouettes_numba import EdgeBuffers, allocate_edges
from models.geometry.silhouettes_numba import blend_edges as blend_edges_numba
from models.kernels.cuda.begin_frame import EMPTY_KEY
from models.kernels.cuda.blend_edges import blend_edges
from models.kernels.cuda.cross_edges import cross_edges
from models.kernels.cuda.launch import launch
from models.kernels.cuda.rasterize import rasterize
from tests.models.kernels.cuda.conftest import Rendered

SIZE = 48


def test_random_triangles_give_the_same_blends() -> None:
    """Two frames in one launch, with back faces, vertices behind the eye and far outside."""
    random = np.random.default_rng(5)
    xy = random.integers(-20 * 256, (SIZE + 20) * 256, (2, 60, 2))
    xy[:, 30:] = xy[:, :30] + random.integers(-2000, 2000, (2, 30, 2))
    xy[:, :2] *= 900
    inverse = random.uniform(0.5, 2, (2, 60))
    inverse[:, 20:22] = 0
    faces = random.integers(0, 60, (80, 3)).astype(np.int32)
    edges = find_mesh_edges(faces)
    positions, depths = torch.from_numpy(xy).int(), torch.from_numpy(inverse)
    triangles = torch.from_numpy(faces)
    keys = torch.full((2, SIZE, SIZE), EMPTY_KEY.value)
    launch(
        rasterize, (1, 1, 2), positions, depths, triangles, keys, len(faces), 60, SIZE,
        block=128, fragments=512, parts=1,
    )  # fmt: skip
    crossings = torch.zeros((2, SIZE, SIZE, 2), dtype=torch.int32)
    launch(
        cross_edges, (-(-len(edges.ends) // 64), 2), positions, depths, triangles,
        *(torch.from_numpy(part) for part in edges), len(edges.ends), len(faces), 60, keys, SIZE,
        crossings, block=64,
    )  # fmt: skip
    blend, cover = torch.zeros((2, 2, SIZE, SIZE), dtype=torch.uint8)
    launch(blend_edges, (-(-(SIZE**2) // 512), 2), keys, crossings, SIZE, blend, cover, block=512)
    for frame in range(2):
        expected = expected_blends(xy[frame], inverse[frame], faces, SIZE)
        np.testing.assert_array_equal(blend[frame], expected.blend)
        np.testing.assert_array_equal(cover[frame], expected.cover)
        assert (expected.blend > 0).sum() > 50


def test_a_head_gives_the_same_blends(rendered: Rendered) -> None:
    buffers, faces = rendered.buffers, rendered.plain.stage.head.faces
    xy, inverse = buffers.xy[0].long().numpy(), buffers.inverse[0].numpy()
    expected = expected_blends(xy, inverse, faces, buffers.blend.shape[1])
    np.testing.assert_array_equal(buffers.blend[0], expected.blend)
    np.testing.assert_array_equal(buffers.cover[0], expected.cover)
    assert (expected.blend > 0).sum() > 60


def expected_blends(
    xy: NDArray[np.int64], inverse: NDArray[np.float64], faces: NDArray[np.int32], size: int
) -> EdgeBuffers:
    """Return numba's result for an image of these triangles."""
    fragments = rasterizer_numba.rasterize(xy, inverse, faces, size, size)
    buffers = allocate_edges(size)
    blend_edges_numba(find_mesh_edges(faces), faces, xy, inverse, *fragments, buffers)
    return buffers
