"""Evaluate an avatar, rendered as it is served, on the held-out split of a dataset.

    .venv/bin/python scripts/evaluate.py models/avatars/default data/default
    .venv/bin/python scripts/evaluate.py models/avatars/default data/default \\
        --baseline runs/baseline/avatar --contact-sheet sheet.png

Ground truth is resampled to the resolution of the avatar. Prints L1, PSNR, SSIM and FLIP of the
full render, of the warp from caches of several ages, of the same with caches rendered ahead, as
servers do (for the pose expected half of the age later), of the stale full render of these ages,
and of a baseline (see `scripts/train_baseline.py`); PSNR by region of the person (face, eyes,
mouth, hair, clothes, background), where the head file has regions; then the differences of
consecutive frames at cache swaps and around them. Writes `evaluation.json` and `evaluation.png` to
the folder of the avatar, and ends with one line of JSON. LPIPS needs weights that do not come with
the project.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import torch
import tyro
from PIL import Image
from tqdm import tqdm

from models.avatar.folder import load_avatar
from models.avatar.manifest import AvatarError, load_manifest
from models.data.dataset import DatasetError, SplitReader
from models.evaluation.baseline import load_baseline
from models.evaluation.chart import draw_chart
from models.evaluation.evaluation import (
    Baseline,
    Evaluation,
    HeldOutFrame,
    Score,
    Scorer,
    evaluate,
    flicker,
    held_out_frames,
    state_sequences,
)
from models.evaluation.flicker import SwapFlicker, hold_head_and_eye
from models.evaluation.regions import RegionScorer
from models.heads.regions import load_regions
from models.metrics.vgg import WeightsError, load_lpips
from models.runtime.renderer import CachedRenderer

SHEET_AGE = 8
"""Cache age of the contact sheet in frames."""


@dataclass(frozen=True)
class Arguments:
    """Evaluate an avatar."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """Avatar folder."""
    dataset: Annotated[Path, tyro.conf.Positional]
    """Folder of the dataset, see scripts/make_dataset.py."""
    baseline: Path | None = None
    """Avatar folder of a baseline trained by scripts/train_baseline.py."""
    split: str = "test"
    """Split to evaluate on."""
    ages: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Cache ages in frames at 30 frames/s."""
    frames: int = 60
    """Number of frames, spread evenly over the split."""
    minutes: float | None = None
    """Stop after this time; the frames measured until then are spread over the split too."""
    swap_periods: tuple[int, ...] = (8, 20)
    """Durations of a refresh, in frames at 60 frames/s, to measure cache-swap flicker with."""
    vgg16: Path | None = None
    """VGG16's weights in torchvision's layout; needed for --lpips."""
    lpips: Path | None = None
    """Weights of LPIPS for VGG16 (vgg.pth of LPIPS 0.1), to measure LPIPS with."""
    device: str = "cpu"
    """PyTorch device."""
    threads: int = 0
    """CPU threads; 0 uses all cores."""
    contact_sheet: Path | None = None
    """File for an image of some frames: truth, full render, warp and stale full render."""


def main(arguments: Arguments, advance: Callable[[float], None] | None = None) -> int:
    """Evaluate. Returns the exit code.

    Args:
        arguments: What to evaluate.
        advance: Called with the finished share, 0..1, in place of a progress bar.
    """
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        result, sheet = _measure(arguments, advance)
    except (AvatarError, DatasetError, WeightsError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    _print_scores(result)
    _print_regions(result)
    _print_swaps("recorded motion", result.swap)
    _print_swaps("only the expression changes", result.swap_still)
    line = {"split": arguments.split, "frames": result.frames, **result.to_json()}
    (arguments.avatar / "evaluation.json").write_text(json.dumps(line, indent=1) + "\n")
    draw_chart(result, _title(arguments), arguments.avatar / "evaluation.png")
    if arguments.contact_sheet:
        sheet.save(arguments.contact_sheet)
    print(json.dumps(line))
    return 0


def _measure(
    arguments: Arguments, advance: Callable[[float], None] | None
) -> tuple[Evaluation, Image.Image]:
    avatar = load_avatar(arguments.avatar)
    renderer = CachedRenderer(avatar, arguments.device)
    regions = load_regions(avatar.head, arguments.avatar / "head.npz")
    frames = SplitReader(arguments.dataset, arguments.split)
    measured = held_out_frames(
        frames, arguments.ages, arguments.frames, renderer.manifest.resolution
    )
    scorer, baseline = _scorer(arguments), _baseline(arguments, renderer.manifest.resolution)
    with _Progress(len(measured), arguments.minutes, advance) as progress:
        result = evaluate(
            renderer,
            measured,
            scorer,
            baseline,
            None if regions is None else RegionScorer(regions),
            progress,
        )
    moving = state_sequences(frames)
    still = [hold_head_and_eye(states) for states in moving]
    periods = arguments.swap_periods
    result = replace(
        result,
        swap=flicker(renderer, moving, periods),
        swap_still=flicker(renderer, still, periods),
    )
    return result, _contact_sheet(renderer, measured)


class _Progress:
    """Reports each frame, and returns whether there is time for another."""

    def __init__(
        self, frames: int, minutes: float | None, advance: Callable[[float], None] | None
    ) -> None:
        self._bar = tqdm(total=frames, unit="frame", disable=advance is not None)
        self._frames, self._advance, self._done = frames, advance, 0
        self._ends_at = time.monotonic() + (inf if minutes is None else minutes * 60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def __call__(self) -> bool:
        self._done += 1
        self._bar.update()
        if self._advance is not None:
            self._advance(self._done / self._frames)
        return time.monotonic() < self._ends_at


def _scorer(arguments: Arguments) -> Scorer:
    if arguments.lpips is None:
        return Scorer()
    if arguments.vgg16 is None:
        raise ValueError("expected --vgg16 with --lpips, got none")
    return Scorer(load_lpips(arguments.vgg16, arguments.lpips))


def _baseline(arguments: Arguments, size: int) -> Baseline | None:
    if arguments.baseline is None:
        return None
    baseline = load_baseline(arguments.baseline, arguments.device)
    if baseline.size != size:
        raise ValueError(f"expected a baseline of resolution {size}, got {baseline.size}")
    return baseline


def _title(arguments: Arguments) -> str:
    return f"{load_manifest(arguments.avatar).name}: held-out frames, rendered as served"


def _print_scores(result: Evaluation) -> None:
    rows = {"full render": result.full}
    rows |= {f"warp, age {age}": score for age, score in result.warp.items()}
    rows |= {f"ahead, age {age}": score for age, score in result.ahead.items()}
    rows |= {f"stale, age {age}": score for age, score in result.stale.items()}
    if result.baseline is not None:
        rows["baseline"] = result.baseline
    print(
        f"{'':14}"
        + "".join(f"{name.upper():>9}" for name in result.full)
        + "   against the full render"
    )
    for name, score in rows.items():
        print(
            f"{name:14}"
            + "".join(f"{value:9.4f}" for value in score.values())
            + _change(result.full, score)
        )


def _change(full: Score, score: Score) -> str:
    changes = [
        f"{name.upper()} {(score[name] / full[name] - 1) * 100:+.1f} %" for name in ("psnr", "ssim")
    ]
    return "" if score is full else "   " + ", ".join(changes)


def _print_regions(result: Evaluation) -> None:
    """Print the PSNR of each region, one way to render in each row."""
    if not result.regions:
        return
    print("PSNR by region; below the names, the share of the image that each covers")
    print(f"{'':14}" + "".join(f"{name:>11}" for name in result.regions))
    print(f"{'':14}" + "".join(f"{each.share:11.1%}" for each in result.regions.values()))
    for way in next(iter(result.regions.values())).psnr:
        label = "full render" if way == "full" else way.replace(" ", ", age ")
        values = (f"{each.psnr[way]:11.2f}" for each in result.regions.values())
        print(f"{label:14}" + "".join(values))


def _print_swaps(motion: str, swaps: dict[int, SwapFlicker | None]) -> None:
    """Print the differences of consecutive frames, in 8-bit levels."""
    for period, swap in swaps.items():
        label = f"swaps every {period:2} frames at 60 frames/s, {motion}: "
        print(label + ("no sequence is long enough" if swap is None else _swap_text(swap)))


def _swap_text(swap: SwapFlicker) -> str:
    return (
        f"{swap.at_swaps:.3f} levels at {swap.swaps} swaps, "
        f"{swap.elsewhere:.3f} around, ratio {swap.ratio:.3f}"
    )


def _contact_sheet(renderer: CachedRenderer, measured: Sequence[HeldOutFrame]) -> Image.Image:
    """Render four frames: truth, full render, warp and stale full render of one age."""
    rows, cache = [], renderer.allocate_cache()
    for frame in measured[:: max(1, len(measured) // 4)][:4]:
        age = min(frame.older, key=lambda age: abs(age - SHEET_AGE))
        renderer.refresh(frame.older[age], cache)
        warp = renderer.warp(frame.state, cache).rgb
        full, stale = renderer.full(frame.state), renderer.full(frame.older[age])
        rows.append(np.concatenate([frame.truth, full, warp, stale], axis=1))
    return Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
