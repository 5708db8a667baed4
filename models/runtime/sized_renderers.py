"""One avatar's renderers, one for each size of frames that is in use."""

from __future__ import annotations

from collections import Counter

from models.runtime.renderer import CachedRenderer


class SizedRenderers:
    """Builds renderers of other sizes at their first use, and drops them after the last.

    A size is used by a number of caches: `begin_use` and `end_use` come from the thread that
    allocates them, `at` from the one that renders, between both.

    Args:
        own: The renderer of the avatar's resolution, which is kept.
    """

    def __init__(self, own: CachedRenderer) -> None:
        self.own = own
        self._others: dict[int, CachedRenderer] = {}
        self._users: Counter[int] = Counter()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes for which there is a renderer at present."""
        return (self.own.size, *self._others)

    def at(self, size: int) -> CachedRenderer:
        """Return the renderer whose frames have `size` rows, a multiple of 32."""
        if size == self.own.size:
            return self.own
        found = self._others.get(size)
        if found is None:
            found = self._others[size] = self.own.resized(size)
        return found

    def begin_use(self, size: int) -> None:
        """Count a user of a size."""
        self._users[size] += 1

    def end_use(self, size: int) -> None:
        """Drop the renderer of a size that has no users any more: its buffers may be large."""
        self._users[size] -= 1
        if not self._users[size]:
            self._others.pop(size, None)
