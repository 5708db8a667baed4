"""Reprojection of features by the mesh, and the kernels against plain torch."""

from dataclasses import replace

import numpy as np
import torch

from models.contract.frame_state import FrameState
from models.geometry.gbuffer import Window, render_gbuffer
from models.geometry.head import Head
from models.kernels import reproject_features as kernels
from models.kernels.bfloat16 import network_array
from models.networks.conditioning import compute_conditioning
from models.networks.frame_batch import frame_batch
from models.networks.reproject import (
    Mesh,
    find_source_positions,
    own_source_positions,
    reproject_bilinear,
    reproject_nearest,
)
from tests.models.conftest import SIZE

HALF = SIZE // 2


def mesh(ball: Head, state: FrameState, window: Window | None = None) -> Mesh:
    made = frame_batch(
        render_gbuffer(ball, state, SIZE, window), compute_conditioning(state), window
    ).mesh
    assert made is not None
    return made


def test_source_positions_in_the_same_frame_are_the_pixel_positions(
    ball: Head, turned: FrameState
) -> None:
    now = mesh(ball, turned)
    positions = find_source_positions(now, now.points, now.origin)
    torch.testing.assert_close(positions, own_source_positions(now, now.origin), atol=1e-4, rtol=0)
    assert positions[0, 0, 0].tolist() == [0.5, 0.5]
    assert positions[0, 2, 5].tolist() == [5.5, 2.5]


def test_reprojected_texture_coordinates_match_the_new_frame(
    ball: Head, front: FrameState, turned: FrameState
) -> None:
    """Compared where the ball is visible in both frames, which excludes the seam of the UV map."""
    older, now = render_gbuffer(ball, front, SIZE), render_gbuffer(ball, turned, SIZE)
    positions = find_source_positions(
        mesh(ball, turned), mesh(ball, front).points, torch.zeros(1, 2)
    )
    uv = torch.from_numpy(older.uv).permute(2, 0, 1)[None, :, ::2, ::2]
    reprojected = reproject_nearest(uv, positions)[0].permute(1, 2, 0).numpy()
    visible = (older.surface[..., 7] > 0.5) & (now.surface[..., 7] > 0.5)
    difference = np.abs(reprojected - now.uv[::2, ::2])[visible[::2, ::2]]
    without_reprojection = np.abs(older.uv - now.uv)[visible]
    assert np.median(without_reprojection) > 0.1
    assert np.median(difference) < 0.02


def test_windows_give_the_positions_of_the_whole_image(
    ball: Head, front: FrameState, turned: FrameState
) -> None:
    whole, small = Window(0, 0, SIZE, SIZE), Window(16, 20, 32, 32)
    positions = find_source_positions(
        mesh(ball, turned, small), mesh(ball, front).points, torch.zeros(1, 2)
    )
    expected = find_source_positions(
        mesh(ball, turned, whole), mesh(ball, front).points, torch.zeros(1, 2)
    )
    covered = mesh(ball, turned, small).weights.sum(dim=3) > 0.5
    torch.testing.assert_close(positions[covered], expected[:, 8:24, 10:26][covered])
    other = mesh(ball, front, Window(8, 2, 48, 48))
    shifted = find_source_positions(mesh(ball, turned, small), other.points, other.origin)
    torch.testing.assert_close(shifted, positions - torch.tensor([1.0, 4.0]))


def test_features_beside_the_head_move_with_its_outline(ball: Head, front: FrameState) -> None:
    now, shift = mesh(ball, front), np.array([0.02, 0, 0], np.float32)
    older = mesh(ball, replace(front, head_translation=-shift))
    moved = find_source_positions(now, older.points, older.origin) - own_source_positions(
        now, older.origin
    )
    assert (moved[0, :, 0] == moved[0, :, :1].expand(-1, HALF, -1)[:, 0]).all()
    edge = moved[0, HALF // 2]
    assert (edge[:3, 0] < -1).all()  # left of the ball, which moved from the left
    torch.testing.assert_close(moved[0, 0], moved[0, 1])  # above the ball


@torch.inference_mode()
def test_the_kernels_reproject_like_plain_torch(
    ball: Head, front: FrameState, turned: FrameState
) -> None:
    now, older = mesh(ball, turned), mesh(ball, front)
    positions = find_source_positions(now, older.points, older.origin)
    flow = np.empty((HALF, HALF, 2), np.float32)
    parts = (now.corners, now.weights, now.points, older.points)
    corners, weights, points, older_points = (part[0].numpy() for part in parts)
    kernels.find_flow(corners, weights, points, older_points, flow)
    rows = 0, HALF, np.zeros(HALF, np.int32), np.full(HALF, HALF, np.int32)
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16):
        part = torch.randn(1, 8, HALF, HALF).to(dtype)
        last = part[0].permute(1, 2, 0).contiguous()
        reprojected = torch.zeros_like(last)
        kernels.reproject_nearest(flow, network_array(last), *rows, network_array(reprojected))
        plain = reproject_nearest(part, positions)[0].permute(1, 2, 0)
        # Equal, except for positions exactly on the edge of a pixel.
        assert (reprojected == plain).float().mean() > 0.999
        other = torch.randn(1, 8, HALF, HALF).to(dtype)
        added = other[0].permute(1, 2, 0).contiguous()
        kernels.reproject_sum(
            flow, network_array(last), network_array(added), 0.5, *rows, network_array(reprojected)
        )
        plain = plain + 0.5 * reproject_bilinear(other.float(), positions)[0].permute(1, 2, 0)
        same = (reprojected.float() - plain).abs() < (2e-3 if dtype == torch.float32 else 0.03)
        assert same.float().mean() > 0.995


def test_without_a_visible_head_the_flow_is_zero(ball: Head, front: FrameState) -> None:
    away = replace(front, head_translation=np.array([5, 0, 0], np.float32))
    now, older = mesh(ball, away), mesh(ball, front)
    positions = find_source_positions(now, older.points, older.origin)
    torch.testing.assert_close(positions, own_source_positions(now, older.origin))
    flow = np.empty((HALF, HALF, 2), np.float32)
    parts = (now.corners, now.weights, now.points, older.points)
    corners, weights, points, older_points = (part[0].numpy() for part in parts)
    kernels.find_flow(corners, weights, points, older_points, flow)
    assert (flow == 0).all()
