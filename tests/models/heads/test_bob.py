"""A bob over a skull that is a sphere: its hull, its hairs, and where they end."""

from collections import Counter

import numpy as np
import pytest

from models.heads.bob import COLUMNS, Bob, bob_part, ends
from models.heads.bob_hairs import bob_tuft
from models.heads.meshes import Floats, Ints, smooth_normals
from models.heads.recipe import RECIPES
from models.heads.source import HAIR_CENTRE, Source

RADIUS_M = 0.1
EYES_M = 0.0


def sphere() -> tuple[Floats, Ints]:
    """Return points and quads around the middle of the skull."""
    polar, azimuth = np.linspace(0.02, np.pi - 0.02, 20), np.linspace(0, 2 * np.pi, 40)[:-1]
    p, a = np.meshgrid(polar, azimuth, indexing="ij")
    directions = np.stack([np.sin(p) * np.sin(a), np.cos(p), np.sin(p) * np.cos(a)], axis=-1)
    index = np.arange(p.size).reshape(p.shape)
    right = np.roll(index, -1, axis=1)
    quads = np.stack([index[:-1], index[1:], right[1:], right[:-1]], axis=-1)
    return HAIR_CENTRE + RADIUS_M * directions.reshape(-1, 3), quads.reshape(-1, 4)


@pytest.fixture(scope="module")
def source() -> Source:
    verts, quads = sphere()
    return Source(
        verts=verts,
        deltas=np.zeros((52, len(verts), 3)),
        names=(),
        bones={},
        bone_weights={},
        quads={"body": quads},
        uv_quads={},
        uvs=np.zeros((0, 2)),
        masks={"ears": np.zeros(len(verts))},
        recipe=RECIPES["default"],
    )


def from_skull(points: Floats) -> Floats:
    off: Floats = np.linalg.norm(points - HAIR_CENTRE, axis=-1) - RADIUS_M
    return off


def test_the_hull_is_one_surface_that_is_open_only_inside(source: Source) -> None:
    part = bob_part(source)
    edges = Counter(
        tuple(sorted((face[i], face[(i + 1) % 3])))
        for face in part.faces.tolist()
        for i in range(3)
    )
    assert set(edges.values()) == {1, 2}
    assert sum(count == 1 for count in edges.values()) == COLUMNS  # the last row of the inside
    assert len(part.uvs) == len(part.verts)
    assert np.isfinite(part.verts).all()


def test_its_outside_faces_away_from_the_skull(source: Source) -> None:
    part = bob_part(source)
    normals = smooth_normals(part.verts, part.faces)
    outside = np.linalg.norm(part.uvs, axis=1) < 0.9
    away = part.verts - HAIR_CENTRE
    assert ((normals * away).sum(1)[outside] > 0).all()


def test_hair_stands_off_the_skull_by_the_volume_of_the_recipe(source: Source) -> None:
    bob, cut = Bob(source), source.recipe.hair
    back = np.full(1, np.pi)
    (top,) = from_skull(bob.at(back, np.full(1, 0.15), np.ones(1)))
    assert top == pytest.approx(cut.volume_mm / 1000, abs=0.002)
    everywhere = np.linspace(-np.pi, np.pi, 60)
    middle = bob.at(everywhere, np.full(60, 0.4), np.ones(60))
    inside = bob.at(everywhere, np.full(60, 0.4), np.zeros(60))
    assert (from_skull(middle) > 0.004).all()
    assert (from_skull(middle) > from_skull(inside)).all()


def test_the_fringe_ends_above_the_eyes_and_the_sides_at_the_jaw(source: Source) -> None:
    azimuth = np.linspace(-np.pi, np.pi, 200)
    hem = Bob(source).at(azimuth, np.ones(200), np.ones(200))[:, 1]
    np.testing.assert_allclose(hem, ends(azimuth), atol=0.003)
    front, side = np.abs(azimuth) < 0.4, np.abs(azimuth) > 1.0
    assert (hem[front] > EYES_M + 0.025).all()
    assert (hem[side] < EYES_M - 0.07).all()
    assert hem[azimuth < -0.3][-1] > hem[azimuth > 0.3][0]  # it slants to the left


def test_hairs_follow_the_surface_and_are_the_same_each_time(source: Source) -> None:
    tuft = bob_tuft(source, np.random.default_rng(3))
    again = bob_tuft(source, np.random.default_rng(3))
    np.testing.assert_array_equal(tuft.points, again.points)
    assert len(tuft.points) == source.recipe.hair.strands
    off = from_skull(tuft.points)
    falls = tuft.points[:, :, 1] < HAIR_CENTRE[1]
    assert (off[~falls] > -0.005).all()  # roots lie below the skin
    assert (off[~falls] < 0.03).all()
    assert (tuft.points[:, -1, 1] < tuft.points[:, 0, 1] + 0.02).all()
