"""Scores of each way to render a frame, on a ball whose ground truth is its full render."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.evaluation.chart import draw_chart
from models.evaluation.evaluation import (
    Evaluation,
    HeldOutFrame,
    Scorer,
    evaluate,
    flicker,
    flip,
    spread_order,
)
from models.evaluation.flicker import double_rate
from models.evaluation.regions import RegionScorer
from models.geometry.head import Head
from models.heads.parts import MASKS
from models.heads.regions import HeadRegions, Region
from models.networks.avatar_networks import Variant
from models.runtime.renderer import CachedRenderer
from models.studio.materials import MATERIALS


@pytest.fixture
def renderer(build_avatar: Callable[[Variant], Avatar]) -> CachedRenderer:
    return CachedRenderer(build_avatar("live"))


class Inverted:
    """A baseline that renders inverted colours."""

    size = 64

    def __init__(self, renderer: CachedRenderer) -> None:
        self._renderer = renderer

    def image(self, state: FrameState, previous: FrameState) -> NDArray[np.uint8]:
        return 255 - self._renderer.full(state)


@pytest.fixture
def result(renderer: CachedRenderer, front: FrameState, turned: FrameState) -> Evaluation:
    held_out_frame = HeldOutFrame(
        turned, front, {1: turned, 8: front}, {1: front, 8: turned}, renderer.full(turned)
    )
    return evaluate(renderer, [held_out_frame, held_out_frame], Scorer(), Inverted(renderer))


def test_each_way_of_rendering_gets_its_own_score(
    result: Evaluation, renderer: CachedRenderer, front: FrameState, turned: FrameState
) -> None:
    assert result.frames == 2
    # The ground truth is the full render: both are equal, also where the older state is the same.
    for score in (result.full, result.stale[1]):
        assert score["psnr"] == pytest.approx(100)
        assert (score["l1"], score["flip"]) == (0, 0)
    apart = np.abs(renderer.full(front).astype(float) - renderer.full(turned)).mean() / 255
    assert result.stale[8]["l1"] == pytest.approx(apart, rel=1e-5)
    cache = renderer.allocate_cache()
    for state, scores in (
        (turned, (result.warp[1], result.ahead[8])),
        (front, (result.warp[8], result.ahead[1])),
    ):
        renderer.refresh(state, cache)
        warped = renderer.warp(turned, cache).rgb.astype(float)
        apart = np.abs(warped - renderer.full(turned)).mean() / 255
        for score in scores:
            assert score["l1"] == pytest.approx(apart, rel=1e-5)
    assert result.baseline is not None
    assert result.baseline["ssim"] < 0.5


def test_evaluation_stops_when_its_time_is_up(
    renderer: CachedRenderer, front: FrameState, turned: FrameState
) -> None:
    held_out_frame = HeldOutFrame(turned, front, {1: front}, {1: front}, renderer.full(turned))
    answers = iter([True, True, False])
    result = evaluate(renderer, [held_out_frame] * 8, Scorer(), advance=lambda: next(answers))
    assert result.frames == 3


def test_frames_are_measured_in_a_spread_order() -> None:
    order = spread_order(60)
    assert sorted(order) == list(range(60))
    for count in (4, 8, 16):
        gaps = np.diff(sorted(order[:count]))
        assert gaps.max() <= 2 * 64 / count
    assert spread_order(1) == [0]


def test_regions_are_measured_where_the_new_frame_shows_them(
    ball: Head, renderer: CachedRenderer, front: FrameState, turned: FrameState
) -> None:
    low = ball.neutral[ball.faces][..., 1].max(axis=1) < 0
    materials = np.where(low, MATERIALS.index("cloth"), MATERIALS.index("skin")).astype(np.uint8)
    masks = np.zeros((len(ball.neutral), len(MASKS)), np.float32)
    regions = HeadRegions(ball, {"faces": ball.faces, "materials": materials, "masks": masks})
    shown = regions.shown(turned, renderer.manifest.resolution)
    truth = renderer.full(turned)
    wrong = truth.copy()
    wrong[shown == Region.CLOTHES] ^= 255
    scorer = RegionScorer(regions)
    scorer.add(turned, {"full": truth, "warp 8": wrong}, truth)
    scores = scorer.scores()
    assert list(scores) == ["face", "clothes", "background"]
    assert scores["face"].psnr == pytest.approx({"full": 100, "warp 8": 100})
    assert scores["clothes"].psnr["full"] == pytest.approx(100)
    error = ((wrong.astype(float) - truth) / 255)[shown == Region.CLOTHES]
    assert scores["clothes"].psnr["warp 8"] == pytest.approx(-10 * np.log10((error**2).mean()))
    assert scores["clothes"].share == pytest.approx((shown == Region.CLOTHES).mean())


def test_losses_are_relative_to_the_full_render_and_worse_is_positive() -> None:
    full, warp = {"psnr": 40.0, "ssim": 0.8}, {"psnr": 39.0, "ssim": 0.82}
    evaluation = Evaluation(1, full, {2: warp}, {2: full}, {}, None)
    assert evaluation.loss_percent()[2] == pytest.approx({"psnr": 2.5, "ssim": -2.5})
    assert evaluation.ahead_loss_percent()[2] == pytest.approx({"psnr": 0.0, "ssim": 0.0})


def test_flip_increases_with_the_visible_difference() -> None:
    random = np.random.default_rng(0)
    image = np.full((64, 64, 3), 120, np.uint8)
    noisy = (image + random.integers(-12, 13, image.shape)).astype(np.uint8)
    assert flip(image, image) == 0
    assert 0.01 < flip(noisy, image) < flip(255 - image // 2, image) < 1


def test_swaps_are_measured_for_each_period(
    renderer: CachedRenderer, front: FrameState, turned: FrameState
) -> None:
    states = double_rate(double_rate(double_rate([front, turned])))
    swaps = flicker(renderer, [states], (2, 7))
    assert swaps[7] is None  # too short
    assert swaps[2] is not None
    assert swaps[2].swaps == 2  # at frames 4 and 6; no frame follows 8


def test_a_result_is_written_as_json_and_as_a_chart(result: Evaluation, tmp_path: Path) -> None:
    written = json.loads(json.dumps(replace(result, swap={8: None}).to_json()))
    assert written["warp"]["8"]["psnr"] == round(result.warp[8]["psnr"], 4)
    assert written["swap"] == {"8": None}
    draw_chart(result, "A ball", tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as image:
        assert np.asarray(image.convert("RGB")).std() > 10
