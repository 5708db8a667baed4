"""How good an avatar's pictures are, on a dataset's held-out split, as they would be served.

    .venv/bin/python scripts/evaluate.py models/avatars/default data/default
    .venv/bin/python scripts/evaluate.py models/avatars/default data/default \\
        --baseline runs/baseline/avatar --contact-sheet sheet.png

Ground truth is resampled to the avatar's resolution. Prints a table: L1, PSNR, SSIM and FLIP of the
full render, of the warp from caches of several ages, of the naive choice (the stale full render of
that age, shown as it is), and of a baseline (see `scripts/train_baseline.py`). Then how much
consecutive frames differ where a cache is swapped, against elsewhere. Writes the same into the
avatar's folder, `evaluation.json` and `evaluation.png`, and ends with one line of JSON. LPIPS is
measured when its weights are given, which do not come with the project.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from PIL import Image
from tqdm import tqdm

from models.avatar.folder import load_avatar
from models.avatar.manifest import AvatarError, load_manifest
from models.data.dataset import DatasetError, Sequences
from models.evaluation.baseline import load_baseline
from models.evaluation.chart import draw_chart
from models.evaluation.evaluation import (
    Baseline,
    Evaluation,
    Moment,
    Score,
    Scorer,
    evaluate,
    flicker,
    moments,
    streams,
)
from models.evaluation.flicker import SwapFlicker, only_the_face_moves
from models.metrics.vgg import WeightsError, load_lpips
from models.runtime.renderer import CachedRenderer

SHEET_AGE = 8


@dataclass(frozen=True)
class Arguments:
    """Evaluate an avatar."""

    avatar: Annotated[Path, tyro.conf.Positional]
    """Avatar folder."""
    dataset: Annotated[Path, tyro.conf.Positional]
    """Dataset folder, see scripts/make_dataset.py."""
    baseline: Path | None = None
    """Avatar folder left by scripts/train_baseline.py, to compare with."""
    split: str = "test"
    ages: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Cache ages in frames (of the dataset's 30 a second)."""
    frames: int = 60
    """How many frames, spread over the split; each is rendered once per age and twice more."""
    swap_periods: tuple[int, ...] = (8, 20)
    """For flicker: frames (of 60 a second) that a refresh takes."""
    vgg16: Path | None = None
    """VGG16's weights in torchvision's layout; with --lpips, LPIPS is measured too."""
    lpips: Path | None = None
    """Weights of LPIPS' heads for VGG16 (vgg.pth of LPIPS 0.1)."""
    device: str = "cpu"
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    contact_sheet: Path | None = None
    """Where to leave a picture of some frames: truth, full render, warp and stale full render."""


def main(arguments: Arguments) -> int:
    """Evaluate. Returns the exit code."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        result, sheet = _measure(arguments)
    except (AvatarError, DatasetError, WeightsError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    _print_scores(result)
    _print_swaps("recorded motion", result.swap)
    _print_swaps("only the face moves", result.swap_still)
    line = {"split": arguments.split, "frames": result.frames, **result.to_json()}
    (arguments.avatar / "evaluation.json").write_text(json.dumps(line, indent=1) + "\n")
    draw_chart(result, _title(arguments), arguments.avatar / "evaluation.png")
    if arguments.contact_sheet:
        sheet.save(arguments.contact_sheet)
    print(json.dumps(line))
    return 0


def _measure(arguments: Arguments) -> tuple[Evaluation, Image.Image]:
    renderer = CachedRenderer(load_avatar(arguments.avatar), arguments.device)
    frames = Sequences(arguments.dataset, arguments.split)
    measured = moments(frames, arguments.ages, arguments.frames, renderer.manifest.resolution)
    scorer, baseline = _scorer(arguments), _baseline(arguments, renderer.manifest.resolution)
    with tqdm(total=len(measured), unit="frame") as bar:
        result = evaluate(renderer, measured, scorer, baseline, bar.update)
    moving = streams(frames)
    still = [only_the_face_moves(states) for states in moving]
    periods = arguments.swap_periods
    result = replace(
        result,
        swap=flicker(renderer, moving, periods),
        swap_still=flicker(renderer, still, periods),
    )
    return result, _contact_sheet(renderer, measured)


def _scorer(arguments: Arguments) -> Scorer:
    if arguments.lpips is None:
        return Scorer()
    if arguments.vgg16 is None:
        raise ValueError("--lpips needs --vgg16 too")
    return Scorer(load_lpips(arguments.vgg16, arguments.lpips))


def _baseline(arguments: Arguments, size: int) -> Baseline | None:
    if arguments.baseline is None:
        return None
    baseline = load_baseline(arguments.baseline, arguments.device)
    if baseline.size != size:
        raise ValueError(f"the baseline must have resolution {size}, got {baseline.size}")
    return baseline


def _title(arguments: Arguments) -> str:
    return f"{load_manifest(arguments.avatar).name}: held-out frames, pictures as served"


def _print_scores(result: Evaluation) -> None:
    rows = {"full render": result.full}
    rows |= {f"warp, age {age}": score for age, score in result.warp.items()}
    rows |= {f"stale, age {age}": score for age, score in result.stale.items()}
    if result.baseline is not None:
        rows["baseline"] = result.baseline
    print(f"{'':14}" + "".join(f"{name.upper():>9}" for name in result.full) + "   to full render")
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


def _print_swaps(motion: str, swaps: dict[int, SwapFlicker | None]) -> None:
    """How much consecutive frames differ, in levels of 255."""
    for period, swap in swaps.items():
        what = f"swaps every {period:2} frames of 60 a second, {motion}: "
        print(what + ("no sequence is long enough" if swap is None else _swap_text(swap)))


def _swap_text(swap: SwapFlicker) -> str:
    return (
        f"{swap.at_swaps:.3f} levels at {swap.swaps} swaps, "
        f"{swap.elsewhere:.3f} around, ratio {swap.ratio:.3f}"
    )


def _contact_sheet(renderer: CachedRenderer, measured: Sequence[Moment]) -> Image.Image:
    """Four frames: truth, full render, warp and stale picture of the age nearest to 8."""
    rows, cache = [], renderer.allocate_cache()
    for moment in measured[:: max(1, len(measured) // 4)][:4]:
        age = min(moment.older, key=lambda age: abs(age - SHEET_AGE))
        renderer.refresh(moment.older[age], cache)
        warp = renderer.warp(moment.state, cache).rgb
        full, stale = renderer.full(moment.state), renderer.full(moment.older[age])
        rows.append(np.concatenate([moment.truth, full, warp, stale], axis=1))
    return Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
