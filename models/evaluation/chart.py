"""Chart of an evaluation: quality over the age of the cache."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from models.evaluation.evaluation import SMALLER_IS_BETTER, Evaluation, Score

_PANELS = {"psnr": "PSNR, dB", "ssim": "SSIM", "flip": "FLIP"}
_DIGITS = {"psnr": 1, "ssim": 3, "flip": 3}
"""Decimal places of the labels."""
_INK, _FAINT = "#22272e", "#c9ced6"
_WARP, _AHEAD, _FULL = "#1668c7", "#2f9e6e", "#22272e"
_STALE, _BASELINE = "#c8553d", "#7a5ea8"
_FPS = 30
"""Frame rate of datasets."""


def draw_chart(evaluation: Evaluation, title: str, path: Path) -> None:
    """Draw the chart of an evaluation to a file, whose suffix selects the format."""
    figure = Figure(figsize=(12, 4.3), layout="constrained", facecolor="white")
    axes = figure.subplots(1, len(_PANELS))
    for panel, (metric, label) in zip(axes, _PANELS.items(), strict=True):
        _draw_panel(panel, evaluation, metric, label)
    figure.suptitle(title, color=_INK, fontsize=13, fontweight="bold", x=0.01, ha="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=10
    )
    figure.savefig(path, dpi=150)


def _draw_panel(panel: Axes, evaluation: Evaluation, metric: str, label: str) -> None:
    better = "lower is better" if metric in SMALLER_IS_BETTER else "higher is better"
    full = f"{evaluation.full[metric]:.{_DIGITS[metric]}f}"
    panel.set_title(f"{label} ({better}; full {full})", color=_INK, fontsize=11, loc="left")
    panel.axhline(
        evaluation.full[metric], color=_FULL, linewidth=1.4, linestyle="--", label="full render"
    )
    if evaluation.baseline is not None:
        panel.axhline(
            evaluation.baseline[metric],
            color=_BASELINE,
            linewidth=1.4,
            linestyle=":",
            label="baseline: generator alone",
        )
    ahead = [score[metric] for score in evaluation.ahead.values()]
    panel.plot(list(evaluation.ahead), ahead, color=_AHEAD, label="warp, cache rendered ahead")
    _draw_curve(panel, evaluation.warp, metric, _WARP, "warp")
    _draw_curve(panel, evaluation.stale, metric, _STALE, "stale full render")
    ages = list(evaluation.warp)
    # Ages double from tick to tick.
    panel.set_xscale("log", base=2)
    panel.set_xticks(ages, [f"{age}\n{age * 1000 / _FPS:.0f} ms" for age in ages])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(f"age of the cache, frames at {_FPS} a second", color=_INK)
    panel.grid(axis="y", color=_FAINT, linewidth=0.6)
    panel.tick_params(colors=_INK, length=0)
    panel.margins(y=0.12)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(_FAINT)


def _draw_curve(
    panel: Axes, scores: dict[int, Score], metric: str, colour: str, label: str
) -> None:
    values = [score[metric] for score in scores.values()]
    panel.plot(list(scores), values, "o-", color=colour, linewidth=2, markersize=5, label=label)
    above = metric not in SMALLER_IS_BETTER
    for age, value in zip(scores, values, strict=True):
        panel.annotate(
            f"{value:.{_DIGITS[metric]}f}",
            (age, value),
            (0, -13 if above else 7),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=colour,
        )
