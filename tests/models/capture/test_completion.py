"""Completion of texels that no frame of the video shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED, load_avatar
from models.capture.completion import Layout, complete, complete_avatar, resized
from models.geometry.head_file import load_head
from models.geometry.npz import read_npz
from models.studio.materials import MATERIALS

HEAD = SHIPPED / "default" / "head.npz"
SIZE = 128
HAIR = MATERIALS.index("hair")


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(load_head(HEAD), read_npz(HEAD, ("materials",))["materials"], SIZE)


def by_material(layout: Layout) -> NDArray[np.float32]:
    """Return (1, S, S) texels whose value is their material."""
    return layout.material[None].astype(np.float32)


def test_unseen_hair_is_filled_with_features_of_seen_hair(layout: Layout) -> None:
    right_half = layout.points[..., 0] > 0
    texels = by_material(layout)
    unseen = right_half & (layout.material == HAIR)
    assert unseen.sum() > 50
    texels[0, unseen] = 99
    complete(texels, ~unseen, layout)
    assert np.allclose(texels, by_material(layout), atol=1e-4)


def test_nearer_texels_have_larger_weights(layout: Layout) -> None:
    heights = np.nan_to_num(layout.points[..., 1])[None].astype(np.float32)
    hair = layout.material == HAIR
    unseen = hair & (np.random.default_rng(0).random(hair.shape) < 0.5)
    texels = np.where(unseen, 5, heights)
    complete(texels, ~unseen, layout)
    assert np.abs(texels - heights)[0, unseen].mean() < 0.004


@pytest.mark.parametrize("material", ["eye", "skin"])
def test_unseen_eyes_and_skin_keep_their_features(layout: Layout, material: str) -> None:
    texels = by_material(layout)
    part = layout.material == MATERIALS.index(material)
    assert part.any()
    texels[0, part] = 99
    complete(texels, ~part, layout)
    assert (texels[0, part] == 99).all()


def test_a_coarse_texel_is_seen_if_any_part_of_it_was_seen() -> None:
    seen = np.zeros((4, 4), bool)
    seen[1, 1] = True
    assert resized(seen, 2).tolist() == [[True, False], [False, False]]


def test_a_completed_avatar_keeps_all_seen_texels_and_renders(tmp_path: Path) -> None:
    for name in ("manifest.json", "head.npz", "weights.safetensors", "background.png"):
        (tmp_path / name).write_bytes((SHIPPED / "default" / name).read_bytes())
    seen = np.ones((512, 512), bool)
    seen[:, :64] = False  # of the hair's box, which is about twice as wide
    before = load_avatar(tmp_path).networks.state_dict()["paint.levels.0"]
    complete_avatar(tmp_path, load_head(HEAD), seen)
    after = load_avatar(tmp_path).networks.state_dict()["paint.levels.0"]
    changed = (before != after).any(dim=1)[0].numpy()
    assert changed.any()
    assert not changed[:, 64:].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "background.png",
        "head.npz",
        "manifest.json",
        "weights.safetensors",
    ]
