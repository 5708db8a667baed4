"""Crossfades between caches are linear and complete."""

from __future__ import annotations

import pytest
import torch

from models.runtime.base import Cache, TensorSpec
from models.runtime.crossfade import _LONGEST_STEP_S, FADE_S, Crossfade
from models.runtime.deferred_crossfade import DeferredCrossfade, MixedCache

FRAME_S = FADE_S / 6


def cache(value: float) -> Cache:
    return {
        "features": torch.full((3, 2), value, dtype=torch.bfloat16),
        "uv": torch.full((2,), value),
        "corners": torch.full((4,), int(value), dtype=torch.int32),
    }


class Mixer:
    """Aligns caches by copying the tensors that are not interpolated."""

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


@pytest.fixture(params=["in memory", "in the warp"])
def fade(mixer: Mixer, request: pytest.FixtureRequest) -> Crossfade:
    if request.param == "in memory":
        return Crossfade(cache(-1.0), mixer)
    return DeferredCrossfade(cache(-1.0), cache(-2.0), mixer)


def resolve(blended: Cache) -> Cache:
    """Return the interpolated tensors of a `MixedCache`, as a warp computes them."""
    if not isinstance(blended, MixedCache):
        return blended
    assert (blended["corners"] == blended.older["corners"]).all()
    mixed = ("features", "uv")
    return {
        name: torch.lerp(blended.older[name], tensor, blended.share) if name in mixed else tensor
        for name, tensor in blended.items()
    }


def value(blended: Cache) -> float:
    blended = resolve(blended)
    assert (blended["features"] == blended["features"][0, 0]).all()
    assert blended["uv"][0].item() == pytest.approx(blended["features"][0, 0].item(), abs=0.02)
    return blended["uv"][0].item()


def test_the_first_cache_is_displayed_at_once(fade: Crossfade) -> None:
    assert value(fade.follow(cache(2.0), 1, 10.0)) == 2
    assert not fade.fading


def test_a_crossfade_to_a_new_cache_is_linear_and_complete(fade: Crossfade) -> None:
    fade.follow(cache(0.0), 1, 10.0)
    seen = [value(fade.follow(cache(6.0), 2, 10.0 + FRAME_S * frame)) for frame in range(1, 8)]
    assert seen == pytest.approx([1, 2, 3, 4, 5, 6, 6], abs=0.02)
    assert seen[-1] == 6
    assert not fade.fading


def test_a_cache_is_not_read_after_its_crossfade(fade: Crossfade) -> None:
    """Its cache slot may then be overwritten."""
    fade.follow(cache(0.0), 1, 10.0)
    newest = cache(6.0)
    for frame in range(1, 8):
        fade.follow(newest, 2, 10.0 + FRAME_S * frame)
    newest["uv"].fill_(99)
    newest["features"].fill_(99)
    assert value(fade.follow(newest, 2, 11.0)) == 6


def test_a_newer_cache_replaces_the_target_halfway(fade: Crossfade) -> None:
    fade.follow(cache(0.0), 1, 10.0)
    for frame in range(1, 4):
        halfway = value(fade.follow(cache(6.0), 2, 10.0 + FRAME_S * frame))
    assert halfway == pytest.approx(3, abs=0.02)
    after = value(fade.follow(cache(9.0), 3, 10.0 + FRAME_S * 4))
    assert after == pytest.approx(4, abs=0.02)
    assert fade.fading
    assert value(fade.follow(cache(9.0), 3, 12.0)) == 9


def test_a_crossfade_does_not_jump_after_a_pause_without_frames(fade: Crossfade) -> None:
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


def test_the_displayed_cache_is_aligned_once_with_each_new_cache(
    fade: Crossfade, mixer: Mixer
) -> None:
    fade.follow(cache(1.0), 1, 10.0)
    for frame in range(1, 4):
        fade.follow(cache(2.0), 2, 10.0 + FRAME_S * frame)
    blended = fade.follow(cache(3.0), 3, 10.0 + FRAME_S * 4)
    assert mixer.aligned == [(1, 2), (2, 3)]
    assert (blended["corners"] == 3).all()


def exact_value(blended: Cache) -> float:
    """Return the value in float32; bfloat16 would round values from 64 on."""
    return resolve(blended)["uv"][0].item()


def displayed_values(
    fade: Crossfade, interval_s: float, caches: int, starts_s: float = 10.0
) -> list[float]:
    """Follow caches of the values 0, 1, 2, ... with one frame each; return the displayed values."""
    return [
        exact_value(fade.follow(cache(float(index)), index, starts_s + index * interval_s))
        for index in range(caches)
    ]


@pytest.mark.parametrize("interval_s", [1 / 60, 1 / 30])
def test_caches_at_the_frame_rate_are_displayed_at_once(
    fade: Crossfade, mixer: Mixer, interval_s: float
) -> None:
    shown = displayed_values(fade, interval_s, caches=80)
    assert shown[-20:] == [float(index) for index in range(60, 80)]
    assert not fade.fading
    assert len(mixer.aligned) < 60, "caches that are swapped in are still aligned"


@pytest.mark.parametrize("interval_s", [0.05, 0.08, 0.15])
def test_crossfades_have_their_full_duration_at_the_interval_of_cpu_workers(
    fade: Crossfade, interval_s: float
) -> None:
    displayed_values(fade, interval_s, caches=30)
    begins_s = 10.0 + 29 * interval_s
    fade.follow(cache(30.0), 30, begins_s + interval_s)
    fade.follow(cache(30.0), 30, begins_s + interval_s + FADE_S - _LONGEST_STEP_S - 0.001)
    assert fade.fading
    fade.follow(cache(30.0), 30, begins_s + interval_s + FADE_S)
    assert not fade.fading


def test_the_duration_grows_with_the_interval(mixer: Mixer) -> None:
    lags = []
    for interval_s in (0.033, 0.038, 0.042, 0.047, 0.051):
        shown = displayed_values(Crossfade(cache(-1.0), mixer), interval_s, caches=60)
        lags.append(59 - shown[-1])
    assert lags[0] == 0
    assert lags == sorted(lags)
    assert lags[-1] > 2


def test_crossfades_resume_when_fast_caches_pause(fade: Crossfade) -> None:
    displayed_values(fade, 1 / 60, caches=80)
    shown = [
        exact_value(fade.follow(cache(90.0), 90, 20.0 + FRAME_S * frame)) for frame in range(1, 8)
    ]
    assert 79 < shown[0] < 90
    assert shown[-1] == 90


def test_a_deferred_crossfade_changes_its_tensors_for_new_caches_only(mixer: Mixer) -> None:
    fade = DeferredCrossfade(cache(0.0), cache(0.0), mixer)
    fade.follow(cache(0.0), 1, 10.0)
    first = fade.follow(cache(6.0), 2, 10.0 + FRAME_S)
    assert isinstance(first, MixedCache)
    before = {name: (first[name].clone(), first.older[name].clone()) for name in first}
    second = fade.follow(cache(6.0), 2, 10.0 + 2 * FRAME_S)
    assert isinstance(second, MixedCache)
    assert second.share == pytest.approx(1 / 3)
    for name, (newer, older) in before.items():
        assert torch.equal(second[name], newer)
        assert torch.equal(second.older[name], older)
