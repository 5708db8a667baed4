"""Features go where the mesh says; the kernel of the latency path takes them to the same places."""

from dataclasses import replace

import numpy as np
import torch

from models.contract.frame_state import FrameState
from models.geometry.gbuffer import Window, render_gbuffer
from models.geometry.head import Head
from models.kernels import reproject_features as carry_kernel
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


def test_a_frame_is_where_it_is(ball: Head, turned: FrameState) -> None:
    now = mesh(ball, turned)
    places = find_source_positions(now, now.points, now.origin)
    torch.testing.assert_close(places, own_source_positions(now, now.origin), atol=1e-4, rtol=0)
    assert places[0, 0, 0].tolist() == [0.5, 0.5]
    assert places[0, 2, 5].tolist() == [5.5, 2.5]


def test_carried_texture_coordinates_are_those_of_the_new_frame(
    ball: Head, front: FrameState, turned: FrameState
) -> None:
    """Wherever the ball was seen in both frames, apart from the chart's seam at the back."""
    older, now = render_gbuffer(ball, front, SIZE), render_gbuffer(ball, turned, SIZE)
    places = find_source_positions(mesh(ball, turned), mesh(ball, front).points, torch.zeros(1, 2))
    uv = torch.from_numpy(older.uv).permute(2, 0, 1)[None, :, ::2, ::2]
    carried = reproject_nearest(uv, places)[0].permute(1, 2, 0).numpy()
    shows = (older.surface[..., 7] > 0.5) & (now.surface[..., 7] > 0.5)
    apart = np.abs(carried - now.uv[::2, ::2])[shows[::2, ::2]]
    unmoved = np.abs(older.uv - now.uv)[shows]
    assert np.median(unmoved) > 0.1
    assert np.median(apart) < 0.02


def test_windows_know_where_they_are(ball: Head, front: FrameState, turned: FrameState) -> None:
    whole, small = Window(0, 0, SIZE, SIZE), Window(16, 20, 32, 32)
    places = find_source_positions(
        mesh(ball, turned, small), mesh(ball, front).points, torch.zeros(1, 2)
    )
    expected = find_source_positions(
        mesh(ball, turned, whole), mesh(ball, front).points, torch.zeros(1, 2)
    )
    seen = mesh(ball, turned, small).weights.sum(dim=3) > 0.5
    torch.testing.assert_close(places[seen], expected[:, 8:24, 10:26][seen])
    other = mesh(ball, front, Window(8, 2, 48, 48))
    shifted = find_source_positions(mesh(ball, turned, small), other.points, other.origin)
    torch.testing.assert_close(shifted, places - torch.tensor([1.0, 4.0]))


def test_beside_the_head_features_move_with_its_outline(ball: Head, front: FrameState) -> None:
    now, shift = mesh(ball, front), np.array([0.02, 0, 0], np.float32)
    older = mesh(ball, replace(front, head_translation=-shift))
    moved = find_source_positions(now, older.points, older.origin) - own_source_positions(
        now, older.origin
    )
    assert (moved[0, :, 0] == moved[0, :, :1].expand(-1, HALF, -1)[:, 0]).all()
    edge = moved[0, HALF // 2]
    assert (edge[:3, 0] < -1).all()  # left of the ball, and it came from the left
    torch.testing.assert_close(moved[0, 0], moved[0, 1])  # above it


@torch.inference_mode()
def test_the_kernels_carry_as_plain_torch_does(
    ball: Head, front: FrameState, turned: FrameState
) -> None:
    now, older = mesh(ball, turned), mesh(ball, front)
    places = find_source_positions(now, older.points, older.origin)
    moved = np.empty((HALF, HALF, 2), np.float32)
    parts = (now.corners, now.weights, now.points, older.points)
    carry_kernel.find_offsets(*(part[0].numpy() for part in parts), moved)
    rows = 0, HALF, np.zeros(HALF, np.int32), np.full(HALF, HALF, np.int32)
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16):
        part = torch.randn(1, 8, HALF, HALF).to(dtype)
        last = part[0].permute(1, 2, 0).contiguous()
        carried = torch.zeros_like(last)
        carry_kernel.reproject_nearest(moved, network_array(last), *rows, network_array(carried))
        plain = reproject_nearest(part, places)[0].permute(1, 2, 0)
        assert (carried == plain).float().mean() > 0.999  # but on a pixel's very edge
        other = torch.randn(1, 8, HALF, HALF).to(dtype)
        added = other[0].permute(1, 2, 0).contiguous()
        carry_kernel.reproject_sum(
            moved, network_array(last), network_array(added), 0.5, *rows, network_array(carried)
        )
        plain = plain + 0.5 * reproject_bilinear(other.float(), places)[0].permute(1, 2, 0)
        same = (carried.float() - plain).abs() < (2e-3 if dtype == torch.float32 else 0.03)
        assert same.float().mean() > 0.995


def test_where_no_head_is_seen_nothing_moves(ball: Head, front: FrameState) -> None:
    away = replace(front, head_translation=np.array([5, 0, 0], np.float32))
    now, older = mesh(ball, away), mesh(ball, front)
    places = find_source_positions(now, older.points, older.origin)
    torch.testing.assert_close(places, own_source_positions(now, older.origin))
    moved = np.empty((HALF, HALF, 2), np.float32)
    parts = (now.corners, now.weights, now.points, older.points)
    carry_kernel.find_offsets(*(part[0].numpy() for part in parts), moved)
    assert (moved == 0).all()
