"""Training pairs: an older frame, whose cache is warped, and the frame it is warped to.

Drawn ahead in a thread; at most a few batches wait. Every pair follows from the seed, the batch's
number and its place in the batch alone, so a run that goes on sees the pairs it would have seen,
and several processes share a batch without talking to each other.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.data.processes import ALONE, Processes
from models.data.samples import Sample, SamplePair, collate
from models.geometry.gbuffer import Window
from models.networks.generator import STRIDE

_WAITING_BATCHES = 4


class SplitFrame(Protocol):
    """One frame, read once."""

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(H, W) coverage."""

    def example(self, window: Window | None = None) -> Sample:
        """What networks see of the frame and what they should make of it (B = 1), or a window of
        it."""


class Split(Protocol):
    """Sequences of frames that networks learn from.

    `training.footage.RenderedSplit` draws what networks see from a dataset's states; a dataset that
    holds it ready can be its own footage.
    """

    @property
    def background(self) -> NDArray[np.uint8]:
        """(H, W, 3) what the head stands in front of."""

    def __len__(self) -> int:
        """Number of frames."""

    def take(self, index: int) -> SplitFrame:
        """Read a frame."""

    def older(self, index: int, age: int) -> int:
        """The frame `age` before in the same sequence, or the sequence's first."""


@dataclass(frozen=True, slots=True)
class PairSettings:
    """How training pairs are chosen."""

    batch: int = 8
    """Pairs in a batch, over all processes."""
    crop: int = 192
    """Side of the random window, pixels, divisible by 32."""
    margin: int = 32
    """By how many pixels the older frame's window is larger on each side where pictures are large
    enough, divisible by 16: what is in the window now may have come from outside. Objectives that
    carry nothing do without."""
    min_age: int = 0
    """Least distance of the two frames."""
    max_age: int = 12
    """Greatest distance of the two frames (the paper's t_diff). At 30 frames/s 12 are 400 ms: what
    a cache on a busy CPU gets."""
    threads: int = 1
    """That draw. One keeps up with two CPU cores of training; a GPU wants more."""

    def __post_init__(self) -> None:
        if self.crop <= 0 or self.crop % STRIDE:
            raise ValueError(f"crop must be a multiple of {STRIDE}, got {self.crop}")
        if self.margin < 0 or self.margin % (STRIDE // 2):
            raise ValueError(f"margin must be a multiple of {STRIDE // 2}, got {self.margin}")
        if not 0 <= self.min_age <= self.max_age:
            raise ValueError(f"ages must be 0 <= min <= max, got {self.min_age}..{self.max_age}")


class PairLoader:
    """Endless random pairs, drawn ahead. Close it, or use it in a `with` statement.

    Args:
        footage: Where frames come from.
        settings: Batch, crop and ages.
        seed: Same seed, same pairs.
        first: Number of the first batch.
        processes: Which of the processes that share each batch this is.

    Raises:
        ValueError: If the processes cannot share a batch evenly, or pictures are smaller than the
            window.
    """

    def __init__(
        self,
        footage: Split,
        settings: PairSettings,
        seed: int,
        first: int = 0,
        processes: Processes = ALONE,
    ) -> None:
        if settings.batch % processes.total:
            raise ValueError(f"{processes.total} processes cannot share {settings.batch} pairs")
        size = footage.background.shape[0]
        if settings.crop > size:
            raise ValueError(f"crop must be at most {size}, the pictures' size: {settings.crop}")
        self._footage, self._settings, self._seed = footage, settings, seed
        self._next, self._processes = first, processes
        self._ready: queue.Queue[SamplePair | BaseException] = queue.Queue(_WAITING_BATCHES)
        self._closed = threading.Event()
        self._drawers = ThreadPoolExecutor(settings.threads, "pair")
        self._thread = threading.Thread(target=self._run, name="pairs", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[SamplePair]:
        while True:
            pair = self._ready.get()
            if isinstance(pair, BaseException):
                raise pair
            yield pair

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        self._closed.set()
        self._thread.join()
        self._drawers.shutdown()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._put(self._draw())
        except Exception as error:  # handed to whoever iterates, who raises it
            self._put(error)

    def _put(self, item: SamplePair | BaseException) -> None:
        while not self._closed.is_set():
            try:
                return self._ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def _draw(self) -> SamplePair:
        places = range(self._processes.rank, self._settings.batch, self._processes.total)
        seeds = [[self._seed, self._next, place] for place in places]
        self._next += 1
        cached, now = zip(*self._drawers.map(self._draw_one, seeds), strict=True)
        return SamplePair(collate(cached), collate(now))

    def _draw_one(self, seed: list[int]) -> SamplePair:
        random = np.random.default_rng(seed)
        index = int(random.integers(len(self._footage)))
        age = int(random.integers(self._settings.min_age, self._settings.max_age + 1))
        take = self._footage.take(index)
        window = _window(random, take.mask, self._settings.crop)
        older = self._footage.take(self._footage.older(index, age))
        wider = _grown(window, self._settings.margin, take.mask.shape[0])
        return SamplePair(older.example(wider), take.example(window))


def _window(random: Generator, mask: NDArray[np.uint8], crop: int) -> Window:
    """A random crop whose centre lies on the head, as far as the picture's border allows."""
    size = mask.shape[0]
    rows, columns = np.nonzero(mask[::8, ::8])
    if len(rows) == 0:
        centre = np.array([size // 2, size // 2])
    else:
        pick = random.integers(len(rows))
        centre = np.array([rows[pick], columns[pick]]) * 8
    centre += random.integers(-crop // 4, crop // 4 + 1, 2)
    corner = np.clip(centre - crop // 2, 0, size - crop) // 2 * 2  # even: half resolution aligns
    return Window(int(corner[0]), int(corner[1]), crop, crop)


def _grown(window: Window, margin: int, size: int) -> Window:
    """A square window with so much more on each side as far as the picture has it."""
    side = min(window.height + 2 * margin, size // STRIDE * STRIDE)
    top, left = (min(max(x - margin, 0), size - side) for x in (window.top, window.left))
    return Window(top, left, side, side)
