"""How good an avatar's pictures are, as served, against ground truth it never saw.

Answers one question with numbers: what does showing a warp instead of a full render cost, as caches
get older? Beside both stands the naive choice (show the stale full render), and a baseline if there
is one.
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
from models.data.dataset import Sequences
from models.data.samples import image_tensor
from models.evaluation.flicker import SwapFlicker, doubled_rate, measure_swaps, play
from models.metrics.image_quality import psnr, ssim
from models.metrics.vgg import Lpips
from models.runtime.renderer import CachedRenderer

Score = dict[str, float]
"""Means by metric: l1, psnr (dB), ssim, flip, and lpips where its weights were given."""

SMALLER_IS_BETTER = ("l1", "flip", "lpips")


class Baseline(Protocol):
    """Another way to make every frame."""

    size: int
    """Rows and columns of its pictures."""

    def picture(self, state: FrameState, previous: FrameState) -> RgbImage:
        """The picture of `state`, which came after `previous`."""


class Moment(NamedTuple):
    """A frame to be measured."""

    state: FrameState
    previous: FrameState
    """One frame earlier."""
    older: dict[int, FrameState]
    """By age in frames."""
    truth: RgbImage
    """At the avatar's resolution."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all ways to make a frame."""

    frames: int
    """How many were measured."""
    full: Score
    warp: dict[int, Score]
    """By the cache's age in frames."""
    stale: dict[int, Score]
    """The full render of an older state, by its age in frames."""
    baseline: Score | None
    swap: dict[int, SwapFlicker | None] = field(default_factory=dict)
    """By how many frames of 60 a second a refresh takes; None where no sequence is so long."""
    swap_still: dict[int, SwapFlicker | None] = field(default_factory=dict)
    """The same while only the face moves, head and eye held still."""

    def loss_percent(self) -> dict[int, Score]:
        """By how much the warp's PSNR and SSIM are lower than the full render's, by age."""
        return {age: _loss_percent(self.full, score) for age, score in self.warp.items()}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "full": _rounded(self.full),
            "warp": {str(age): _rounded(score) for age, score in self.warp.items()},
            "stale": {str(age): _rounded(score) for age, score in self.stale.items()},
            "baseline": None if self.baseline is None else _rounded(self.baseline),
            "swap": _swaps_json(self.swap),
            "swap_still": _swaps_json(self.swap_still),
            "loss_percent": {
                str(age): {name: round(value, 2) for name, value in score.items()}
                for age, score in self.loss_percent().items()
            },
        }


class Scorer:
    """Compares pictures with ground truth.

    Args:
        lpips: Measures LPIPS too.
    """

    def __init__(self, lpips: Lpips | None = None) -> None:
        self._lpips = lpips

    def __call__(self, picture: RgbImage, truth: RgbImage) -> Score:
        """All metrics of one picture."""
        one, other = image_tensor(picture), image_tensor(truth)
        score = {
            "l1": (one - other).abs().mean().item(),
            "psnr": psnr(one, other).item(),
            "ssim": ssim(one, other).item(),
            "flip": flip(picture, truth),
        }
        if self._lpips is not None:
            score["lpips"] = self._lpips(one, other).item()
        return score


def flip(picture: RgbImage, truth: RgbImage) -> float:
    """Mean FLIP error (Andersson et al. 2020), 0..1: how visible the difference is to a person who
    flips between the two, at 67 pixels a degree."""
    scaled = [np.ascontiguousarray(p, np.float32) / 255 for p in (truth, picture)]
    _, mean, _ = flip_evaluator.evaluate(*scaled, "LDR", applyMagma=False)
    return float(mean)


def moments(frames: Sequences, ages: Sequence[int], count: int, size: int) -> list[Moment]:
    """`count` frames spread over all that have every age before them.

    Args:
        frames: The held-out split.
        ages: In frames.
        count: At most so many.
        size: Rows and columns to resample the ground truth to.

    Raises:
        ValueError: If no sequence is long enough.
    """
    possible = frames.pairs(max(ages))[:, 1]
    if len(possible) == 0:
        raise ValueError(f"no sequence is longer than {max(ages)} frames")
    picks = np.linspace(0, len(possible) - 1, min(count, len(possible))).round()
    return [_moment(frames, int(possible[int(pick)]), ages, size) for pick in picks]


def streams(frames: Sequences) -> list[list[FrameState]]:
    """The states of each sequence, at twice the frame rate."""
    sequences: dict[int, list[FrameState]] = defaultdict(list)
    for index in range(len(frames)):
        sequences[frames.sequence(index)].append(frames.state(index))
    return [doubled_rate(states) for states in sequences.values()]


def evaluate(
    renderer: CachedRenderer,
    measured: Sequence[Moment],
    scorer: Scorer,
    baseline: Baseline | None = None,
    advance: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Measure everything but flicker.

    Args:
        renderer: The avatar.
        measured: Frames, all with the same ages.
        scorer: How pictures are compared.
        baseline: Of the same size as the avatar.
        advance: Called after each frame.
    """
    scores: dict[str, list[Score]] = defaultdict(list)
    cache = renderer.allocate_cache()
    for moment in measured:
        for name, picture in _pictures(renderer, moment, cache):
            scores[name].append(scorer(picture, moment.truth))
        if baseline is not None:
            picture = baseline.picture(moment.state, moment.previous)
            scores["baseline"].append(scorer(picture, moment.truth))
        advance()
    means = {name: _mean(values) for name, values in scores.items()}
    ages = list(measured[0].older)
    return Evaluation(
        frames=len(measured),
        full=means["full"],
        warp={age: means[f"warp {age}"] for age in ages},
        stale={age: means[f"stale {age}"] for age in ages},
        baseline=means.get("baseline"),
    )


def flicker(
    renderer: CachedRenderer, sequences: Sequence[Sequence[FrameState]], periods: Sequence[int]
) -> dict[int, SwapFlicker | None]:
    """How visible cache swaps are in `streams`, by how many frames a refresh takes."""
    return {
        period: measure_swaps([play(renderer, states, period) for states in sequences])
        for period in periods
    }


def _pictures(
    renderer: CachedRenderer, moment: Moment, cache: Any
) -> Iterator[tuple[str, RgbImage]]:
    yield "full", renderer.full(moment.state)
    for age, older in moment.older.items():
        renderer.refresh(older, cache)
        yield f"warp {age}", renderer.warp(moment.state, cache).rgb
        yield f"stale {age}", renderer.full(older)


def _moment(frames: Sequences, index: int, ages: Sequence[int], size: int) -> Moment:
    state, truth, _ = frames.frame(index)
    if frames.size != size:
        resized = Image.fromarray(truth).resize((size, size), Image.Resampling.LANCZOS)
        truth = np.array(resized)
    older = {age: frames.state(frames.older(index, age)) for age in ages}
    return Moment(state, frames.state(frames.older(index, 1)), older, truth)


def _mean(scores: list[Score]) -> Score:
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def _loss_percent(full: Score, warp: Score) -> Score:
    return {name: (1 - warp[name] / full[name]) * 100 for name in ("psnr", "ssim")}


def _rounded(score: Score) -> Score:
    return {name: round(value, 4) for name, value in score.items()}


def _swaps_json(swaps: dict[int, SwapFlicker | None]) -> dict[str, dict[str, float] | None]:
    return {str(period): _swap_json(swap) if swap else None for period, swap in swaps.items()}


def _swap_json(swap: SwapFlicker) -> dict[str, float]:
    return {
        "ratio": round(swap.ratio, 4),
        "at_swaps": round(swap.at_swaps, 4),
        "elsewhere": round(swap.elsewhere, 4),
        "swaps": swap.swaps,
    }
