"""Evaluate an avatar, rendered as it is served, on held-out ground truth.

Measures the loss of quality of a warp against a full render, by the age of the cache. For
comparison: the warp of a cache that was rendered ahead, as the server does for moving heads, the
stale full render of the same age, and optionally a baseline.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import flip_evaluator
import numpy as np
from PIL import Image

from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.data.dataset import SplitReader
from models.data.samples import image_tensor
from models.evaluation.flicker import (
    SwapFlicker,
    double_rate,
    measure_swaps,
    play,
    rendered_ahead,
)
from models.evaluation.regions import RegionScore, RegionScorer
from models.metrics.image_quality import psnr, ssim
from models.metrics.vgg import Lpips
from models.runtime.renderer import CachedRenderer

Score = dict[str, float]
"""Means by metric: l1, psnr (dB), ssim, flip, and lpips where its weights were given."""

_MOTION_FRAMES = 4
"""Frames from which the movement of a state is measured."""
SMALLER_IS_BETTER = ("l1", "flip", "lpips")


class Baseline(Protocol):
    """Another method to render every frame."""

    size: int
    """Rows and columns of the images."""

    def image(self, state: FrameState, previous: FrameState) -> RgbImage:
        """Render `state`, whose previous frame is `previous`."""


class HeldOutFrame(NamedTuple):
    """A held-out frame to measure on."""

    state: FrameState
    previous: FrameState
    """State one frame earlier."""
    older: dict[int, FrameState]
    """Earlier states by age in frames."""
    ahead: dict[int, FrameState]
    """States by age in frames: those that were expected, at that time, for half of the age later. A
    refresh takes that long if its cache is used for as long as the refresh took."""
    truth: RgbImage
    """Ground truth at the resolution of the avatar."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of full render, warp, warp of what was rendered ahead, stale render and baseline."""

    frames: int
    """Number of frames measured."""
    full: Score
    warp: dict[int, Score]
    """Scores by age of the cache in frames."""
    ahead: dict[int, Score]
    """Scores of warps from caches that were rendered ahead (see `HeldOutFrame.ahead`), by age in
    frames."""
    stale: dict[int, Score]
    """Score of the full render of an older state, by its age in frames."""
    baseline: Score | None
    swap: dict[int, SwapFlicker | None] = field(default_factory=dict)
    """Flicker by duration of a refresh in frames at 60 frames/s; None where no sequence is long
    enough."""
    swap_still: dict[int, SwapFlicker | None] = field(default_factory=dict)
    """Flicker with head pose and view held still, by duration of a refresh in frames."""
    regions: dict[str, RegionScore] = field(default_factory=dict)
    """Scores by name of the region; none for heads without regions."""

    def loss_percent(self) -> dict[int, Score]:
        """Return the loss of PSNR and SSIM of the warp against the full render, percent, by age."""
        return {age: _loss_percent(self.full, score) for age, score in self.warp.items()}

    def ahead_loss_percent(self) -> dict[int, Score]:
        """Return the same with caches that were rendered ahead."""
        return {age: _loss_percent(self.full, score) for age, score in self.ahead.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of `evaluation.json`."""
        return {
            "full": _rounded(self.full),
            "warp": {str(age): _rounded(score) for age, score in self.warp.items()},
            "ahead": {str(age): _rounded(score) for age, score in self.ahead.items()},
            "stale": {str(age): _rounded(score) for age, score in self.stale.items()},
            "baseline": None if self.baseline is None else _rounded(self.baseline),
            "swap": _swaps_json(self.swap),
            "swap_still": _swaps_json(self.swap_still),
            "loss_percent": _percent_json(self.loss_percent()),
            "ahead_loss_percent": _percent_json(self.ahead_loss_percent()),
            "regions": {
                name: {"share": round(score.share, 4), "psnr": _rounded(score.psnr)}
                for name, score in self.regions.items()
            },
        }


class Scorer:
    """Compares images with ground truth.

    Args:
        lpips: Network that measures LPIPS, optional.
    """

    def __init__(self, lpips: Lpips | None = None) -> None:
        self._lpips = lpips

    def __call__(self, image: RgbImage, truth: RgbImage) -> Score:
        """Return all metrics of one image."""
        one, other = image_tensor(image), image_tensor(truth)
        score = {
            "l1": (one - other).abs().mean().item(),
            "psnr": psnr(one, other).item(),
            "ssim": ssim(one, other).item(),
            "flip": flip(image, truth),
        }
        if self._lpips is not None:
            score["lpips"] = self._lpips(one, other).item()
        return score


def flip(image: RgbImage, truth: RgbImage) -> float:
    """Compute the mean FLIP error (Andersson et al. 2020), 0..1: the visibility of differences when
    flipping between the two images at 67 pixels per degree."""
    # flip_evaluator expects the reference first.
    scaled = [np.ascontiguousarray(p, np.float32) / 255 for p in (truth, image)]
    _, mean, _ = flip_evaluator.evaluate(*scaled, "LDR", applyMagma=False)
    return float(mean)


def held_out_frames(
    frames: SplitReader, ages: Sequence[int], count: int, size: int
) -> list[HeldOutFrame]:
    """Select frames spread evenly over those that have states of all ages before them.

    Args:
        frames: The held-out split.
        ages: Cache ages in frames.
        count: Greatest number of frames.
        size: Rows and columns to resample the ground truth to.

    Raises:
        ValueError: If no sequence is long enough.
    """
    # Frames with the greatest age have all smaller ages too.
    possible = frames.pairs(max(ages))[:, 1]
    if len(possible) == 0:
        raise ValueError(f"expected a sequence of more than {max(ages)} frames, got none")
    picks = np.linspace(0, len(possible) - 1, min(count, len(possible))).round()
    return [_held_out_frame(frames, int(possible[int(pick)]), ages, size) for pick in picks]


def state_sequences(frames: SplitReader) -> list[list[FrameState]]:
    """Return the states of each sequence, interpolated to twice the frame rate."""
    sequences: dict[int, list[FrameState]] = defaultdict(list)
    for index in range(len(frames)):
        sequences[frames.sequence(index)].append(frames.state(index))
    return [double_rate(states) for states in sequences.values()]


def evaluate(
    renderer: CachedRenderer,
    measured: Sequence[HeldOutFrame],
    scorer: Scorer,
    baseline: Baseline | None = None,
    regions: RegionScorer | None = None,
    advance: Callable[[], bool] = lambda: True,
) -> Evaluation:
    """Measure everything except flicker.

    Args:
        renderer: Renderer of the avatar.
        measured: Frames, all with the same ages.
        scorer: Computes the metrics.
        baseline: Baseline of the same size as the avatar, optional.
        regions: Measures regions too, optional.
        advance: Called after each frame; returns whether there is time for another. The frames that
            were measured until then are spread over all.
    """
    scores: dict[str, list[Score]] = defaultdict(list)
    cache = renderer.allocate_cache()
    for number in spread_order(len(measured)):
        frame = measured[number]
        images = dict(_render_each_way(renderer, frame, cache))
        if baseline is not None:
            images["baseline"] = baseline.image(frame.state, frame.previous)
        for name, image in images.items():
            scores[name].append(scorer(image, frame.truth))
        if regions is not None:
            regions.add(frame.state, images, frame.truth)
        if not advance():
            break
    means = {name: _mean(values) for name, values in scores.items()}
    ages = list(measured[0].older)
    return Evaluation(
        frames=len(scores["full"]),
        full=means["full"],
        warp={age: means[f"warp {age}"] for age in ages},
        ahead={age: means[f"ahead {age}"] for age in ages},
        stale={age: means[f"stale {age}"] for age in ages},
        baseline=means.get("baseline"),
        regions=regions.scores() if regions is not None else {},
    )


def spread_order(count: int) -> list[int]:
    """Return 0..count-1 in an order whose every beginning is spread over all of them."""
    # By their reversed bits: of any first part of the order, numbers lie in all parts of the range.
    digits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda index: int(f"{index:0{digits}b}"[::-1], 2))


def flicker(
    renderer: CachedRenderer, sequences: Sequence[Sequence[FrameState]], periods: Sequence[int]
) -> dict[int, SwapFlicker | None]:
    """Measure cache-swap flicker in sequences, by duration of a refresh in frames.

    Args:
        renderer: Renderer of the avatar.
        sequences: States at 60 frames/s, see `state_sequences`.
        periods: Durations of a refresh in frames.
    """
    return {
        period: measure_swaps([play(renderer, states, period) for states in sequences])
        for period in periods
    }


def _render_each_way(
    renderer: CachedRenderer, frame: HeldOutFrame, cache: Any
) -> Iterator[tuple[str, RgbImage]]:
    yield "full", renderer.full(frame.state)
    for age, older in frame.older.items():
        renderer.refresh(older, cache)
        yield f"warp {age}", renderer.warp(frame.state, cache).rgb
        renderer.refresh(frame.ahead[age], cache)
        yield f"ahead {age}", renderer.warp(frame.state, cache).rgb
        yield f"stale {age}", renderer.full(older)


def _held_out_frame(
    frames: SplitReader, index: int, ages: Sequence[int], size: int
) -> HeldOutFrame:
    state, truth, _ = frames.frame(index)
    # Lanczos: bilinear resampling would blur the ground truth that sharp frames are compared with.
    if frames.size != size:
        resized = Image.fromarray(truth).resize((size, size), Image.Resampling.LANCZOS)
        truth = np.array(resized)
    older = {age: frames.state(frames.older(index, age)) for age in ages}
    ahead = {age: _rendered_ahead(frames, frames.older(index, age), age / 2) for age in ages}
    return HeldOutFrame(state, frames.state(frames.older(index, 1)), older, ahead, truth)


def _rendered_ahead(frames: SplitReader, index: int, ahead_frames: float) -> FrameState:
    """Return what is rendered when frame `index` is the newest."""
    known = [
        frames.state(number)
        for number in range(max(0, index - _MOTION_FRAMES), index + 1)
        if frames.sequence(number) == frames.sequence(index)
    ]
    return rendered_ahead(known, frames.info.fps, ahead_frames / frames.info.fps)


def _mean(scores: list[Score]) -> Score:
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def _loss_percent(full: Score, warp: Score) -> Score:
    return {name: (1 - warp[name] / full[name]) * 100 for name in ("psnr", "ssim")}


def _rounded(score: Score) -> Score:
    return {name: round(value, 4) for name, value in score.items()}


def _percent_json(scores: dict[int, Score]) -> dict[str, Score]:
    return {
        str(age): {name: round(value, 2) for name, value in score.items()}
        for age, score in scores.items()
    }


def _swaps_json(swaps: dict[int, SwapFlicker | None]) -> dict[str, dict[str, float] | None]:
    return {str(period): _swap_json(swap) if swap else None for period, swap in swaps.items()}


def _swap_json(swap: SwapFlicker) -> dict[str, float]:
    return {
        "ratio": round(swap.ratio, 4),
        "at_swaps": round(swap.at_swaps, 4),
        "elsewhere": round(swap.elsewhere, 4),
        "swaps": swap.swaps,
    }
