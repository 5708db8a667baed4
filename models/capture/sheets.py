"""Contact sheets of the stages: results drawn over the video's frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.capture.clip import Clip
from models.contract.images import RgbImage

COLUMNS, ROWS = 4, 2
_WIDTH_PX = 480
"""Width of one image of a sheet."""
_DOT = (40, 220, 60)
_LINE = (40, 220, 60)
_TINT = np.array([230, 60, 60], np.float32)


def sheet_frames(frames: Sequence[int]) -> list[int]:
    """Return which of some frames a sheet shows: spread evenly."""
    count = min(COLUMNS * ROWS, len(frames))
    picks = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [frames[int(pick)] for pick in picks]


def chosen_frames(clip: Clip, numbers: Sequence[int]) -> Iterator[tuple[int, RgbImage]]:
    """Yield number and image of some frames, in order."""
    wanted = set(numbers)
    for frame in clip.frames():
        if frame.number in wanted:
            yield frame.number, frame.rgb
        if frame.number >= max(wanted):
            return


def save_sheet(images: Sequence[RgbImage], path: Path) -> None:
    """Save images of equal size side by side as a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scaled = [_scaled(image) for image in images]
    blank = np.zeros_like(scaled[0])
    scaled += [blank] * (-len(scaled) % COLUMNS)
    rows = [np.concatenate(scaled[i : i + COLUMNS], axis=1) for i in range(0, len(scaled), COLUMNS)]
    Image.fromarray(np.concatenate(rows)).save(path, quality=90)


def with_points(image: RgbImage, points: NDArray[np.floating]) -> RgbImage:
    """Return an image with dots at points (n, 2), pixels."""
    drawn = image.copy()
    radius = max(1, image.shape[1] // 400)
    for x, y in points:
        cv2.circle(drawn, (int(x), int(y)), radius, _DOT, -1, cv2.LINE_AA)
    return drawn


def with_edges(image: RgbImage, labels: NDArray[np.integer]) -> RgbImage:
    """Return an image with lines where labels (H, W) of pixels change."""
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    drawn = image.copy()
    drawn[edge] = _LINE
    return drawn


def with_tint(image: RgbImage, share: NDArray[np.floating]) -> RgbImage:
    """Return an image tinted by a share (H, W), 0..1."""
    part = 0.6 * share[..., None].astype(np.float32)
    return (image * (1 - part) + _TINT * part).astype(np.uint8)


def _scaled(image: RgbImage) -> RgbImage:
    height = round(image.shape[0] * _WIDTH_PX / image.shape[1])
    return np.asarray(cv2.resize(image, (_WIDTH_PX, height)), np.uint8)
