"""Makes the frames of sequences from caches: crossfades, reuse of equal images, the visible mark.

Used by a thread of the server and by a device process, so that both show the same frames.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.frame_state import FrameState
from models.contract.images import StageTimes, WarpedNv12
from models.contract.rendition import Rendition
from server.pool.interface import Engine, Fade, Slot
from server.pool.mark import Mark

REUSE_WINDOW_S = 0.008
"""Viewers who request the same image within this time get the same step of a crossfade, even if a
new cache was finished in between: half a frame at 60 frames per second."""

Key = TypeVar("Key")
"""Identifies a sequence of frames."""


@dataclass(frozen=True, eq=False)
class FrameRequest(Generic[Key]):
    """The inputs of one frame."""

    sequence: Key
    previous: Key | None
    """The sequence whose crossfade this one continues, if this is its first frame; of the same
    rendition."""
    rendition: Rendition
    state: FrameState
    slot: Slot
    """The newest cache."""
    generation: int
    """Identifies that cache among all caches of all viewers."""
    stages_ms: StageTimes
    """Stages of the frame so far."""
    backdrop: Backdrop | None = None
    """What is behind the head; None for the avatar's background."""


@dataclass(eq=False)
class SequenceState:
    """State of a sequence between two frames."""

    fade: Fade
    state: FrameState | None = None
    """State that the newest frame shows; None before the first."""
    fading: bool = False
    """Whether the crossfade to its cache was still in progress then."""
    generation: int = 0
    """Cache that it was warped from."""
    warped_at: float = 0.0

    def source(self, request: FrameRequest[Key], now: float) -> Slot:
        """Return the source of the warp: the newest cache, or a mix with the previous one."""
        return self.fade.follow(request.slot, request.generation, now)

    def shows(self, request: FrameRequest[Key], now: float) -> bool:
        """Return whether warping again would give the image of the newest frame."""
        # Otherwise the next frame differs even if the states are equal.
        changing = self.fading or self.generation != request.generation
        if changing and now - self.warped_at > REUSE_WINDOW_S:
            return False
        return self.state is not None and self.state.same_image(request.state)


class FrameMaker(Generic[Key]):
    """Makes frames on one device; used by one thread.

    Args:
        engine: Warps them.
        mark: Drawn into each.
        sequences: Stores the states of sequences.
    """

    def __init__(
        self, engine: Engine, mark: Mark, sequences: MutableMapping[Key, SequenceState]
    ) -> None:
        self._engine, self._mark, self._sequences = engine, mark, sequences

    def make(self, request: FrameRequest[Key]) -> WarpedNv12 | None:
        """Make a frame.

        Returns:
            The image and all stages so far; None if the newest frame of the sequence shows the
            same.

        Raises:
            RenderError: If the state cannot be rendered.
        """
        state, now = self._open(request), time.monotonic()
        # Before `source`, which advances the crossfade by a step that no frame would show.
        if state.shows(request, now):
            return None
        source = state.source(request, now)
        image = self._engine.warp(request.rendition, request.state, source, request.backdrop)
        return self._finish(request, state, image)

    def make_batch(self, requests: Sequence[FrameRequest[Key]]) -> list[WarpedNv12 | None]:
        """Make frames of different sequences of one rendition at once, all over its background.

        Returns:
            What `make` returns for each.

        Raises:
            RenderError: If one of the states cannot be rendered; then none is.
        """
        now = time.monotonic()
        states = [self._open(request) for request in requests]
        made: list[WarpedNv12 | None] = [None] * len(requests)
        new = [i for i, request in enumerate(requests) if not states[i].shows(request, now)]
        if new:
            frames = [(requests[i].state, states[i].source(requests[i], now)) for i in new]
            images = self._engine.warp_batch(requests[0].rendition, frames)
            for i, image in zip(new, images, strict=True):
                made[i] = self._finish(requests[i], states[i], image)
        return made

    def fading(self, sequence: Key) -> bool:
        """Return whether the newest frame of a sequence shows a crossfade in progress."""
        state = self._sequences.get(sequence)
        return state is not None and state.fading  # it may have been closed meanwhile

    def close(self, sequence: Key) -> None:
        """Forget a sequence, whose crossfade holds the memory of a whole cache."""
        self._sequences.pop(sequence, None)

    def _finish(
        self, request: FrameRequest[Key], state: SequenceState, image: WarpedNv12
    ) -> WarpedNv12:
        avatar = self._engine.avatars[request.rendition.avatar_id]
        layered = request.backdrop == TRANSPARENT
        self._mark.draw_nv12(avatar, image.nv12, layered)
        state.state, state.generation = request.state, request.generation
        state.fading = state.fade.fading
        state.warped_at = time.monotonic()  # after the warp: others may request it now
        return image._replace(stages_ms={**request.stages_ms, **image.stages_ms})

    def _open(self, request: FrameRequest[Key]) -> SequenceState:
        """Return the state of a sequence; a new one continues the fade of the one before."""
        state = self._sequences.get(request.sequence)
        if state is None:
            previous = request.previous
            before = self._sequences.get(previous) if previous is not None else None
            fade = self._engine.open_fade(request.rendition, before.fade if before else None)
            state = self._sequences[request.sequence] = SequenceState(fade)
        return state
