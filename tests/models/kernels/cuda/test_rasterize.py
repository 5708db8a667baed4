"""The rasterizer in Triton against numba's and plain torch's, to the bit."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.geometry import rasterizer, rasterizer_numba
from models.kernels.cuda.begin_frame import EMPTY_KEY
from models.kernels.cuda.launch import launch
from models.kernels.cuda.rasterize import rasterize
from tests.models.kernels.cuda.conftest import Rendered

SIZE = 64


def triangles_of(keys: torch.Tensor) -> NDArray[np.int32]:
    """Return the visible triangles (..., H, W), -1 where there is none."""
    empty = keys == EMPTY_KEY.value
    return torch.where(empty, -1, keys & 0xFFFFFFFF).int().numpy()


def rasterized(xy: NDArray[np.int64], inverse: NDArray[np.float64], faces: NDArray[np.int32],
               parts: int) -> torch.Tensor:  # fmt: skip
    """Rasterize (B, V, 2) positions; return keys (B, H, W)."""
    keys = torch.full((len(xy), SIZE, SIZE), EMPTY_KEY.value)
    launch(
        rasterize, (-(-len(faces) // 128), parts, len(xy)),
        torch.from_numpy(xy).int(), torch.from_numpy(inverse), torch.from_numpy(faces), keys,
        len(faces), xy.shape[1], SIZE, block=128, fragments=512, parts=parts,
    )  # fmt: skip
    return keys


def test_random_triangles_give_the_same_pixels_in_any_split() -> None:
    """Large and small triangles, back faces, some behind the eye, at one depth, off the image."""
    random = np.random.default_rng(1)
    xy = random.integers(-40 * 256, (SIZE + 40) * 256, (2, 90, 2))
    xy[:, 60:] = xy[:, 30:60] + random.integers(-900, 900, (2, 30, 2))
    xy[:, :4] = np.array([[0, 0], [0, SIZE], [SIZE, SIZE], [SIZE, 0]]) * 256
    inverse = random.uniform(0.5, 2, (2, 90))
    inverse[:, :10] = 1
    inverse[:, 50:53] = 0
    faces = random.integers(0, 90, (200, 3)).astype(np.int32)
    faces[:4] = [[0, 1, 2], [0, 2, 3], [0, 1, 2], [2, 3, 0]]
    for parts in (1, 3):
        keys = rasterized(xy, inverse, faces, parts)
        for got, at, depth in zip(triangles_of(keys), xy, inverse, strict=True):
            fast = rasterizer_numba.rasterize(at, depth, faces, SIZE, SIZE)
            plain = rasterizer.rasterize(at, depth, faces, SIZE, SIZE)
            np.testing.assert_array_equal(got, fast.triangle)
            np.testing.assert_array_equal(got, plain.triangle)
            assert len(np.unique(got)) > 20


def test_a_head_gives_the_same_pixels_and_depths(rendered: Rendered) -> None:
    keys, faces = rendered.buffers.keys[0], rendered.plain.stage.head.faces
    xy, inverse = rendered.buffers.xy[0].long().numpy(), rendered.buffers.inverse[0].numpy()
    expected = rasterizer_numba.rasterize(xy, inverse, faces, SIZE, SIZE)
    np.testing.assert_array_equal(triangles_of(keys), expected.triangle)
    depth = (0x7FFFFFFF - (keys >> 32)).int().view(torch.float32)
    np.testing.assert_array_equal(
        depth.numpy()[expected.mask], expected.inverse_depth[expected.mask]
    )
    assert 500 < expected.mask.sum() < 3500
