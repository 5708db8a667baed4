"""Refined stills: full renders at the size of a viewer's display, for faces that do not move.

Viewers who see the same at the same size share one. The size follows the display, up to a limit,
and the speed of the machine: while an image is rendered, its worker fills no cache, which the first
frames after a movement need.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import STRIDE
from server.encoding.still import compress_still
from server.pool.pool import RenderPool

SMALLEST_SIZE = 256
"""Smallest size: below it a face in a small tile loses its features for a small saving."""
LONGEST_RENDER_MS = 400.0
"""Stills that would take longer are rendered smaller, down to the avatar's own resolution: the
first cache after a movement may be late by this time."""


@dataclass(eq=False)
class _Shared:
    """A still that is being rendered, and the number of callers that wait for it."""

    avatar_id: str
    state: FrameState
    size: int
    image: asyncio.Task[bytes]
    waiting: int = 0


class Stills:
    """Renders refined stills for all sessions.

    Args:
        pool: Renders the images.
        largest: Rows and columns of the largest still.
        executor: Threads to compress in; None for the event loop's.
    """

    def __init__(self, pool: RenderPool, largest: int, executor: Executor | None = None) -> None:
        self._pool, self._largest, self._executor = pool, largest, executor
        self._shared: list[_Shared] = []

    def size_for(self, avatar: AvatarInfo, frame_px: int, display_px: int) -> int | None:
        """Return the rows and columns of a still; None where the frames themselves are sharper.

        Args:
            avatar: What it shows.
            frame_px: Rows of the frames.
            display_px: Rows of the frame on the display, in its own pixels.
        """
        wanted = max(-(-display_px // STRIDE) * STRIDE, SMALLEST_SIZE)
        size = min(wanted, self._affordable_size(avatar), self._largest)
        return size if size >= min(wanted, frame_px) else None

    def _affordable_size(self, avatar: AvatarInfo) -> int:
        """Return the size that takes `LONGEST_RENDER_MS`, at least the avatar's resolution.

        A refresh is the same work at the size of its frames, and its newest time includes the
        present load of the machine.
        """
        # The time of a render grows with its pixels, the square of its size.
        carried = [
            (LONGEST_RENDER_MS / worker.last_refresh_ms) ** 0.5 * worker.last_refresh_size
            for worker in self._pool.status().workers
            if worker.last_refresh_ms
        ]
        return max(int(min(carried, default=0)) // STRIDE * STRIDE, avatar.resolution)

    async def render(self, avatar_id: str, state: FrameState, size: int) -> bytes:
        """Return a still as JPEG. Calls for the same image at the same time share one render.

        Raises:
            TelewarpError: If it cannot be rendered now.
        """
        shared = self._find(avatar_id, state, size)
        if shared is None:
            task = asyncio.ensure_future(self._make(avatar_id, state, size))
            shared = _Shared(avatar_id, state, size, task)
            self._shared.append(shared)
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.image)
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                shared.image.cancel()
                self._shared.remove(shared)

    def _find(self, avatar_id: str, state: FrameState, size: int) -> _Shared | None:
        for shared in self._shared:
            same = (shared.avatar_id, shared.size) == (avatar_id, size)
            if same and shared.state.same_image(state):
                return shared
        return None

    async def _make(self, avatar_id: str, state: FrameState, size: int) -> bytes:
        rgb = await self._pool.render_low_priority(avatar_id, state, size)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, compress_still, rgb)
