"""Load training pairs: an older frame, whose cache is warped, and the frame it is warped to.

A thread prefetches a few batches. A pair depends only on the seed, the number of its batch and its
index in the batch: a resumed run gets the same pairs as an uninterrupted one, and several processes
share a batch without communication.
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

from models.contract.images import STRIDE
from models.data.processes import ALONE, Processes
from models.data.samples import Sample, SamplePair, collate
from models.geometry.gbuffer import Window

_PREFETCHED_BATCHES = 4
_MASK_STEP = 8
"""Pixels between the rows and columns that a crop's centre is chosen from."""


class SplitFrame(Protocol):
    """One frame of a split, whose files are read once."""

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(H, W) coverage."""

    def sample(self, window: Window | None = None) -> Sample:
        """Return network inputs and ground truth of the frame, or a window of it, as a batch of
        one."""


class Split(Protocol):
    """Sequences of frames that networks learn from.

    `training.split.RenderedSplit` draws what networks see from a dataset's states; a dataset that
    holds it ready can be its own footage.
    """

    @property
    def background(self) -> NDArray[np.uint8]:
        """(H, W, 3) background of the avatar, u8."""

    def __len__(self) -> int:
        """Number of frames."""

    def frame(self, index: int) -> SplitFrame:
        """Return a frame."""

    def older(self, index: int, age: int) -> int:
        """Return the index `age` frames before `index`, at least the first of its sequence."""


@dataclass(frozen=True, slots=True)
class PairSettings:
    """How training pairs are sampled."""

    batch: int = 8
    """Pairs per batch, over all processes."""
    crop: int = 192
    """Side of the random crop, pixels, a multiple of 32."""
    margin: int = 32
    """Pixels by which the crop of the older frame is larger on each side, as far as the image
    allows, a multiple of 16: surface inside the newer crop may come from outside of it. Objectives
    that reproject nothing use 0."""
    min_age: int = 0
    """Least distance between the two frames, in frames."""
    max_age: int = 12
    """Greatest distance between the two frames (the paper's t_diff). 12 frames at 30 frames/s are
    400 ms, the age of a cache on a busy CPU."""
    threads: int = 1
    """Threads that load pairs. One keeps up with training on two CPU cores; a GPU needs more."""

    def __post_init__(self) -> None:
        if self.crop <= 0 or self.crop % STRIDE:
            raise ValueError(f"crop must be a multiple of {STRIDE}, got {self.crop}")
        if self.margin < 0 or self.margin % (STRIDE // 2):
            raise ValueError(f"margin must be a multiple of {STRIDE // 2}, got {self.margin}")
        if not 0 <= self.min_age <= self.max_age:
            raise ValueError(f"ages must be 0 <= min <= max, got {self.min_age}..{self.max_age}")


class PairLoader:
    """Iterates over random batches of pairs without end, and prefetches them.

    Close it, or use it in a `with` statement.

    Args:
        split: Frames to sample from.
        settings: Batch size, crop and ages.
        seed: Seed; the same seed gives the same pairs.
        first: Number of the first batch, the step that a run resumes at.
        processes: Rank of this process among those that share each batch.

    Raises:
        ValueError: If the number of processes does not divide the batch size, or the crop is larger
            than the images.
    """

    def __init__(
        self,
        split: Split,
        settings: PairSettings,
        seed: int,
        first: int = 0,
        processes: Processes = ALONE,
    ) -> None:
        if settings.batch % processes.total:
            raise ValueError(f"{processes.total} processes cannot share {settings.batch} pairs")
        size = split.background.shape[0]
        if settings.crop > size:
            raise ValueError(
                f"crop must be at most {size}, the size of the images, got {settings.crop}"
            )
        self._split, self._settings, self._seed = split, settings, seed
        self._next, self._processes = first, processes
        self._ready: queue.Queue[SamplePair | BaseException] = queue.Queue(_PREFETCHED_BATCHES)
        self._closed = threading.Event()
        self._threads = ThreadPoolExecutor(settings.threads, "pair")
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
        """Stop the threads."""
        self._closed.set()
        self._thread.join()
        self._threads.shutdown()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._put(self._load_batch())
        except Exception as error:  # `__iter__` raises it in the thread that trains
            self._put(error)

    def _put(self, item: SamplePair | BaseException) -> None:
        # The timeout lets `close` end a thread that waits for room in the queue.
        while not self._closed.is_set():
            try:
                return self._ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def _load_batch(self) -> SamplePair:
        indices = range(self._processes.rank, self._settings.batch, self._processes.total)
        # One generator per pair: the result does not depend on the order of the threads.
        seeds = [[self._seed, self._next, index] for index in indices]
        self._next += 1
        cached, now = zip(*self._threads.map(self._load_pair, seeds), strict=True)
        return SamplePair(collate(cached), collate(now))

    def _load_pair(self, seed: list[int]) -> SamplePair:
        random = np.random.default_rng(seed)
        index = int(random.integers(len(self._split)))
        age = int(random.integers(self._settings.min_age, self._settings.max_age + 1))
        frame = self._split.frame(index)
        # Both frames use the window of the newer one, whose pixels the loss compares.
        window = _random_window(random, frame.mask, self._settings.crop)
        older = self._split.frame(self._split.older(index, age))
        wider = _grow(window, self._settings.margin, frame.mask.shape[0])
        return SamplePair(older.sample(wider), frame.sample(window))


def _random_window(random: Generator, mask: NDArray[np.uint8], crop: int) -> Window:
    """Return a random crop centred near a pixel of the head, inside the image."""
    size = mask.shape[0]
    rows, columns = np.nonzero(mask[::_MASK_STEP, ::_MASK_STEP])
    if len(rows) == 0:  # the head is outside of the image
        centre = np.array([size // 2, size // 2])
    else:
        pick = random.integers(len(rows))
        centre = np.array([rows[pick], columns[pick]]) * _MASK_STEP
    centre += random.integers(-crop // 4, crop // 4 + 1, 2)
    # Even, so that the crop is aligned with pixels of half resolution too.
    corner = np.clip(centre - crop // 2, 0, size - crop) // 2 * 2
    return Window(int(corner[0]), int(corner[1]), crop, crop)


def _grow(window: Window, margin: int, size: int) -> Window:
    """Return a square window enlarged by `margin` on each side, as far as the image allows."""
    # The generator halves its input several times, so the side must stay a multiple of STRIDE.
    side = min(window.height + 2 * margin, size // STRIDE * STRIDE)
    top, left = (min(max(x - margin, 0), size - side) for x in (window.top, window.left))
    return Window(top, left, side, side)
