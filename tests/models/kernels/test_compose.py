"""The composition on a CPU against plain torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.geometry.gbuffer import RasterizedHead, pose_geometry, soften_rows
from models.geometry.head import Head
from models.geometry.rasterizer_numba import rasterize
from models.geometry.silhouettes_numba import allocate_edges, blend_edges
from models.kernels.compose import compose
from models.kernels.compose_nv12 import compose_nv12
from models.kernels.fill_inputs import ActiveRegion, find_active_region
from models.kernels.nv12 import rgb_to_nv12
from models.kernels.texels import quantize
from models.networks.live_inputs import FOREGROUND_MARGIN
from models.runtime.telewarp_torch import TelewarpTorchRuntime
from tests.models.conftest import SIZE


@torch.inference_mode()
def test_images_and_nv12_equal_plain_torchs_also_at_silhouettes(
    build_avatar: Callable[..., Avatar], ball: Head, turned: FrameState
) -> None:
    plain = TelewarpTorchRuntime(build_avatar("live"), torch.device("cpu"))
    state = replace(turned, head_translation=np.array([0.11, -0.01, 0.03], np.float32))
    smooth = 0.5 * torch.randn(1, 32, SIZE // 2, SIZE // 2)
    inputs = plain._inputs(plain.stage.frame(state))
    expected = plain.stage.compose(plain.generator.paint_over(smooth, inputs))

    raster = rasterized(ball, state)
    paint_over = plain.generator.paint_over
    active = ActiveRegion(*find_active_region(raster.soft, FOREGROUND_MARGIN))
    rgb = np.zeros((SIZE, SIZE, 3), np.uint8)
    given = (
        np.ascontiguousarray(smooth[0].permute(1, 2, 0).numpy()), raster,
        quantize(plain.paint[0].permute(1, 2, 0).numpy()),
        np.array([paint_over.slope, paint_over.offset], np.float32), active,
        plain.stage.background_rgb,
    )  # fmt: skip
    compose(*given, 0, 0, rgb)
    difference = np.abs(rgb.astype(int) - expected.astype(int))
    # Rounding to 8 bits, and texels quantized to 16.
    assert difference.max() <= 1
    assert (raster.blend > 0).sum() > 60
    assert difference[raster.blend > 0].mean() < 0.05

    nv12 = np.zeros((SIZE * 3 // 2, SIZE), np.uint8)
    background = rgb_to_nv12(torch.from_numpy(plain.stage.background_rgb)).numpy()
    compose_nv12(*given, background, 0, 0, nv12)
    np.testing.assert_array_equal(nv12, rgb_to_nv12(torch.from_numpy(rgb)))


def rasterized(head: Head, state: FrameState) -> RasterizedHead:
    geometry = pose_geometry(head, state, SIZE)
    fragments = rasterize(geometry.xy, geometry.inverse_depth, head.faces, SIZE, SIZE)
    edges, soft = allocate_edges(SIZE), np.zeros((SIZE, SIZE), np.uint8)
    blend_edges(head.edges, head.faces, geometry.xy, geometry.inverse_depth, *fragments, edges)
    soften_rows(edges.cover, 0, SIZE, soft)
    return RasterizedHead(fragments.triangle, edges.blend, soft, geometry, head)
