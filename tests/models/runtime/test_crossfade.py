"""Crossfades between caches are linear and complete."""

from __future__ import annotations

import pytest
import torch

from models.runtime.base import Cache, TensorSpec
from models.runtime.crossfade import FADE_S, Crossfade

FRAME_S = FADE_S / 6


def cache(value: float) -> Cache:
    return {
        "features": torch.full((3, 2), value, dtype=torch.bfloat16),
        "uv": torch.full((2,), value),
        "corners": torch.full((4,), int(value), dtype=torch.int32),
    }


class Mixer:
    """Aligns caches of `cache` by copying the tensors that are not interpolated."""

    layout: tuple[TensorSpec, ...] = (
        TensorSpec("features", (3, 2), torch.bfloat16),
        TensorSpec("uv", (2,), torch.float32),
        TensorSpec("corners", (4,), torch.int32, mixes=False),
    )

    def __init__(self) -> None:
        self.aligned: list[tuple[int, int]] = []

    def align(self, cache: Cache, newer: Cache) -> None:
        self.aligned.append((int(cache["corners"][0]), int(newer["corners"][0])))
        cache["corners"].copy_(newer["corners"])


@pytest.fixture
def mixer() -> Mixer:
    return Mixer()


@pytest.fixture
def fade(mixer: Mixer) -> Crossfade:
    return Crossfade(cache(-1.0), mixer)


def value(blended: Cache) -> float:
    assert (blended["features"] == blended["features"][0, 0]).all()
    assert blended["uv"][0].item() == pytest.approx(blended["features"][0, 0].item(), abs=0.02)
    return blended["uv"][0].item()


def test_the_first_cache_is_used_at_once(fade: Crossfade) -> None:
    assert value(fade.follow(cache(2.0), 1, 10.0)) == 2
    assert not fade.fading


def test_a_new_cache_fades_in_linearly_and_fully(fade: Crossfade) -> None:
    fade.follow(cache(0.0), 1, 10.0)
    seen = [value(fade.follow(cache(6.0), 2, 10.0 + FRAME_S * frame)) for frame in range(1, 8)]
    assert seen == pytest.approx([1, 2, 3, 4, 5, 6, 6], abs=0.02)
    assert seen[-1] == 6
    assert not fade.fading


def test_a_cache_is_not_read_after_its_fade(fade: Crossfade) -> None:
    """Its slot may be overwritten by then."""
    fade.follow(cache(0.0), 1, 10.0)
    newest = cache(6.0)
    for frame in range(1, 8):
        fade.follow(newest, 2, 10.0 + FRAME_S * frame)
    newest["uv"].fill_(99)
    newest["features"].fill_(99)
    assert value(fade.follow(newest, 2, 11.0)) == 6


def test_a_newer_cache_takes_over_halfway(fade: Crossfade) -> None:
    fade.follow(cache(0.0), 1, 10.0)
    for frame in range(1, 4):
        halfway = value(fade.follow(cache(6.0), 2, 10.0 + FRAME_S * frame))
    assert halfway == pytest.approx(3, abs=0.02)
    after = value(fade.follow(cache(9.0), 3, 10.0 + FRAME_S * 4))
    assert after == pytest.approx(4, abs=0.02)
    assert fade.fading
    assert value(fade.follow(cache(9.0), 3, 12.0)) == 9


def test_after_a_pause_without_frames_it_does_not_jump(fade: Crossfade) -> None:
    fade.follow(cache(0.0), 1, 10.0)
    assert value(fade.follow(cache(6.0), 2, 20.0)) < 2
    assert fade.fading


def test_a_copy_continues_independently(fade: Crossfade) -> None:
    fade.follow(cache(0.0), 1, 10.0)
    fade.follow(cache(6.0), 2, 10.0 + FRAME_S)
    other = fade.copy()
    assert value(other.follow(cache(6.0), 2, 10.0 + 2 * FRAME_S)) == pytest.approx(2, abs=0.02)
    assert value(fade.follow(cache(0.0), 3, 10.0 + 2 * FRAME_S)) == pytest.approx(5 / 6, abs=0.02)
    assert value(other.follow(cache(6.0), 2, 10.0 + 6 * FRAME_S)) == 6


def test_each_new_cache_is_aligned_with_once(fade: Crossfade, mixer: Mixer) -> None:
    fade.follow(cache(1.0), 1, 10.0)
    for frame in range(1, 4):
        fade.follow(cache(2.0), 2, 10.0 + FRAME_S * frame)
    blended = fade.follow(cache(3.0), 3, 10.0 + FRAME_S * 4)
    assert mixer.aligned == [(1, 2), (2, 3)]
    assert (blended["corners"] == 3).all()
