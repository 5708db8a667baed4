"""Blends at silhouettes of rectangles at known positions, and both forms against each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.geometry import rasterizer_numba, silhouettes, silhouettes_numba
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.geometry.mesh_edges import find_mesh_edges
from models.geometry.silhouettes import COVER_MAX, DIRECTIONS, SHARE_UNIT, EdgeBlends

SIZE = 24


class Mesh(NamedTuple):
    """A mesh on screen."""

    xy: NDArray[np.int64]
    """(V, 2) 1/256 pixels."""
    inverse: NDArray[np.float64]
    """(V,)"""
    faces: NDArray[np.int32]
    """(F, 3)"""


def rectangle(left: float, top: float, right: float, bottom: float, inverse: float) -> Mesh:
    """Return a rectangle that faces the eye, in pixels, at 1/depth `inverse`."""
    xy = np.array([[left, top], [left, bottom], [right, bottom], [right, top]]) * 256
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Mesh(xy.round().astype(np.int64), np.full(4, inverse), faces)


def joined(*meshes: Mesh) -> Mesh:
    firsts = np.cumsum([0, *(len(mesh.xy) for mesh in meshes)])
    faces = [mesh.faces + first for mesh, first in zip(meshes, firsts, strict=False)]
    return Mesh(
        np.concatenate([mesh.xy for mesh in meshes]),
        np.concatenate([mesh.inverse for mesh in meshes]),
        np.concatenate(faces).astype(np.int32),
    )


def blends(mesh: Mesh, size: int = SIZE) -> EdgeBlends:
    """Return the result of both forms, which must be equal to the bit."""
    edges = find_mesh_edges(mesh.faces)
    fragments = rasterizer_numba.rasterize(*mesh, size, size)
    plain = silhouettes.blend_edges(edges, mesh.faces, mesh.xy, mesh.inverse, fragments)
    buffers = silhouettes_numba.allocate_edges(size)
    for _ in range(2):  # the second time with used buffers
        silhouettes_numba.blend_edges(edges, mesh.faces, mesh.xy, mesh.inverse, *fragments, buffers)
        np.testing.assert_array_equal(buffers.blend, plain.blend)
        np.testing.assert_array_equal(buffers.cover, plain.cover)
        assert not buffers.crossings.any()
    return plain


def shares(found: EdgeBlends, direction: tuple[int, int]) -> NDArray[np.float64]:
    """Return the (H, W) shares of the neighbours in a direction."""
    towards = (found.blend & 3) == DIRECTIONS.index(direction)
    return np.where(towards, (found.blend >> 2) / SHARE_UNIT, 0)


@pytest.mark.parametrize("left", [5.0, 5.2, 5.45, 5.55, 5.8, 6.0])
def test_the_cover_of_a_pixel_at_an_outline_is_its_covered_area(left: float) -> None:
    upright = blends(rectangle(left, 4, 18, 20, 1.0))
    lying = blends(rectangle(4, left, 20, 18, 1.0))
    expected = np.zeros(SIZE)
    expected[5:18] = [6 - left, *[1] * 12]
    np.testing.assert_allclose(upright.cover[10] / COVER_MAX, expected, atol=0.5 / COVER_MAX + 0.02)
    np.testing.assert_array_equal(lying.cover[:, 10], upright.cover[10])


def test_the_cover_at_a_slanted_outline_is_the_covered_area() -> None:
    corners = np.array([[3.3, 2.7], [9.1, 21.2], [20.6, 12.4]]) * 256
    mesh = Mesh(corners.astype(np.int64), np.ones(3), np.array([[0, 1, 2]], np.int32))
    samples = 16
    fine = rasterizer_numba.rasterize(
        mesh.xy * samples, mesh.inverse, mesh.faces, SIZE * samples, SIZE * samples
    )
    area = fine.mask.reshape(SIZE, samples, SIZE, samples).mean(axis=(1, 3))
    difference = np.abs(blends(mesh).cover / COVER_MAX - area)
    # Hard coverage is off by up to a half. The three corners, which are not straight, are excluded.
    assert np.sort(difference.ravel())[-4] < 0.16
    assert difference[area % 1 > 0].mean() < 0.04


@pytest.mark.parametrize("left", [8.2, 8.7])
def test_an_inner_edge_mixes_the_nearer_surface_and_the_one_behind(left: float) -> None:
    found = blends(joined(rectangle(2, 2, 22, 22, 1.0), rectangle(left, 6, 16, 18, 1.1)))
    assert (found.cover[4:20, 4:20] == COVER_MAX).all()
    # Pixel 8 shows the nearer rectangle where it covers the centre, else the one behind.
    nearer_at_the_centre = left < 8.5
    towards = (0, -1) if nearer_at_the_centre else (0, 1)
    share = left - 8 if nearer_at_the_centre else 9 - left
    np.testing.assert_allclose(shares(found, towards)[8:16, 8], share, atol=1 / SHARE_UNIT)
    assert found.blend[8:16, [7, 9]].max() == 0


@pytest.mark.parametrize("behind", [0.9, 0.999, 1.0])
def test_edges_behind_a_surface_and_seams_of_one_are_not_blended(behind: float) -> None:
    """A hidden rectangle, and one that continues another at the same depth."""
    whole = rectangle(2, 2, 12.3, 22, 1.0)
    hidden = blends(joined(rectangle(2, 2, 22, 22, 1.0), rectangle(8.2, 6, 16, 18, behind)))
    assert hidden.blend[4:20, 4:20].max() == 0
    seam = blends(joined(whole, rectangle(12.3, 2, 22, 22, min(behind + 0.0001, 1.0))))
    if behind > 0.99:
        assert seam.blend[4:20, 4:20].max() == 0


def test_the_outer_of_two_layers_determines_the_cover() -> None:
    """Skin closely behind hair, both ending between the same two pixels."""
    layers = joined(rectangle(8.9, 2, 18, 22, 1.0), rectangle(8.6, 2, 18, 22, 1.05))
    for order in (layers, layers._replace(faces=layers.faces[::-1].copy())):
        assert blends(order).cover[10, 8] == round(0.4 * COVER_MAX)


def test_a_doubled_surface_has_no_silhouette_inside() -> None:
    """Two sheets of the same vertices, of which one faces away, as eyelashes have."""
    front = joined(rectangle(4, 4, 12, 20, 1.0), rectangle(12, 4, 20, 20, 1.0))
    merged = np.array([0, 1, 2, 3, 3, 2, 6, 7])[front.faces].astype(np.int32)
    both = front._replace(faces=np.concatenate([merged, merged[:, ::-1]]))
    assert blends(both).blend[6:18, 6:18].max() == 0
    assert blends(both).blend[6:18, 3:5].max() == 0  # the outline lies between pixels


def test_edges_at_the_border_of_the_image_mix_nothing_from_outside() -> None:
    found = blends(rectangle(-3.3, -2.2, SIZE + 2.2, SIZE - 0.3, 1.0))
    assert (found.cover[:-1] == COVER_MAX).all()
    for dy, dx in DIRECTIONS:
        inside = np.pad(np.ones((SIZE, SIZE)), 1)[1 + dy : 1 + dy + SIZE, 1 + dx : 1 + dx + SIZE]
        assert shares(found, (dy, dx))[inside == 0].max() == 0


def test_both_forms_agree_on_random_triangles() -> None:
    """Includes back faces, edges of many triangles, vertices behind the eye and far outside."""
    random = np.random.default_rng(3)
    found = []
    for _ in range(5):
        xy = random.integers(-20 * 256, (SIZE + 20) * 256, (60, 2))
        xy[:2] *= 5000
        inverse = random.uniform(0.5, 2, 60)
        inverse[20:24] = 0
        faces = random.integers(0, 60, (90, 3)).astype(np.int32)
        found.append((blends(Mesh(xy, inverse, faces)).blend > 0).sum())
    assert sum(found) > 200


def test_both_forms_agree_on_a_head(ball: Head, turned: FrameState) -> None:
    geometry = pose_geometry(ball, turned, 96)
    found = blends(Mesh(geometry.xy, geometry.inverse_depth, ball.faces), 96)
    outline = (found.cover > 0) & (found.cover < COVER_MAX)
    assert outline.sum() > 150


def test_edges_list_the_triangles_on_both_sides() -> None:
    faces = np.array([[0, 1, 2], [2, 1, 3], [1, 0, 4], [4, 1, 0], [1, 0, 5]], np.int32)
    edges = find_mesh_edges(faces)
    table = {tuple(e): (list(a), list(b)) for e, a, b in zip(*edges, strict=True)}
    assert table[1, 2] == ([0, 5], [1, 5])
    assert table[1, 3] == ([1, 5], [5, 5])  # an open border
    assert (0, 1) not in table  # three triangles on one side
