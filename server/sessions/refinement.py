"""The refinement of one viewer's image while nothing moves.

Once the same image has been shown for a moment, a still of it is rendered at the size of the
display. Frames name it as long as they show the same, so that the page shows the still over them,
and the frames again as soon as something moves. Nothing here delays a frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from server.errors import NotReadyError, PoolBusyError, TelewarpError
from server.sessions.stills import Stills

STILL_AFTER_S = 0.07
"""Time without change after which an image is refined: two frame intervals of a 30 Hz camera, so
that the gaps between the frames of a moving face do not count."""
RETRY_S = 5.0
"""Pause after a still for which no worker was free."""


@dataclass(frozen=True)
class RefinedStill:
    """A still of what the frames show."""

    number: int
    """Identifies it within its session."""
    size: int
    """Rows and columns."""
    jpeg: bytes


class Refinement:
    """Keeps the refined still of one session.

    Belongs to the event loop.

    Args:
        avatar: The avatar of the stream.
        frame_px: Returns the rows of its frames.
        stills: Renders the stills.
        on_ready: Called when a still is ready; must not raise.
        on_failed: Called with the reason when one cannot be rendered; must not raise.
    """

    def __init__(
        self,
        avatar: AvatarInfo,
        frame_px: Callable[[], int],
        stills: Stills,
        on_ready: Callable[[], None],
        on_failed: Callable[[TelewarpError], None],
    ) -> None:
        self.display_px = 0
        """Rows of the frame on the display; 0 until the viewer reports it."""
        self._avatar, self._frame_px, self._stills = avatar, frame_px, stills
        self._on_ready, self._on_failed = on_ready, on_failed
        self._state: FrameState | None = None
        """State that the newest frame shows."""
        self._still: RefinedStill | None = None
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def still(self) -> RefinedStill | None:
        """The still of what the newest frame shows; None until it is ready."""
        return self._still

    def set_display(self, size_px: int) -> None:
        """Refine for a display with this many rows from now on."""
        if size_px != self.display_px:
            self.display_px = size_px
            self.restart()

    def frame_shows(self, state: FrameState) -> int | None:
        """Record a frame; return the number of the still that shows the same, if any."""
        if self._state is None or not state.same_image(self._state):
            self._state = state
            self.restart()
        return None if self._still is None else self._still.number

    def restart(self) -> None:
        """Drop the still and render another one of the same image, after a change of the size."""
        self.close()
        self._begin_in(STILL_AFTER_S)

    def close(self) -> None:
        """Drop the still, and cancel one in progress."""
        self._still = None
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._timer = self._task = None

    def _begin_in(self, pause_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._begin)

    def _begin(self) -> None:
        if self._state is not None:
            self._task = asyncio.ensure_future(self._refine(self._state))

    async def _refine(self, state: FrameState) -> None:
        size = self._stills.size_for(self._avatar, self._frame_px(), self.display_px)
        if size is None:
            return
        try:
            jpeg = await self._stills.render(self._avatar.id, state, size)
        except TelewarpError as exc:
            self._on_failed(exc)
            if isinstance(exc, PoolBusyError | NotReadyError):
                # Other errors may be caused by the state, which would end the workers that render
                # it again.
                self._begin_in(RETRY_S)
            return
        # Not reached if something has moved meanwhile, because `restart` cancels this task.
        self._count += 1
        self._still = RefinedStill(self._count, size, jpeg)
        self._on_ready()
