"""Shared memory that the workers write single images to, one block for each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.images import RgbImage
from server.pool.shared_block import SharedBlock


class ImageBlocks:
    """The blocks of all workers, each as large as the largest image that was announced.

    Args:
        largest_image: Rows and columns of the largest image apart from those of avatars.
    """

    def __init__(self, largest_image: int = 0) -> None:
        self._blocks: dict[str, SharedBlock] = {}
        self._needed = max(1, largest_image**2 * 3)
        """Bytes of the largest image."""

    def announce(self, avatar: AvatarInfo) -> None:
        """Make future blocks large enough for images of an avatar."""
        self._needed = max(self._needed, avatar.resolution**2 * 3)

    def create(self, avatars: Iterable[AvatarInfo], workers: Iterable[str]) -> None:
        """Allocate a block for each worker, with room for images of these avatars.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        for avatar in avatars:
            self.announce(avatar)
        for worker in workers:
            self._blocks[worker] = SharedBlock.create(self._needed)

    def name(self, worker: str) -> str:
        """Return the name of the block of a worker, for `AttachImage`."""
        return self._blocks[worker].name

    def enlarge(self, worker: str) -> bool:
        """Replace the block of a worker without a job if it is too small.

        Returns:
            Whether it was replaced, so that the worker has to attach it.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        if len(self._blocks[worker].buffer) >= self._needed:
            return False
        # First, so that the worker keeps its block if there is no memory for a larger one.
        block = SharedBlock.create(self._needed)
        self._blocks[worker].close()
        self._blocks[worker] = block
        return True

    def read(self, worker: str, shape: tuple[int, ...]) -> RgbImage:
        """Return a copy of the image (H, W, 3) that a worker has written."""
        count = int(np.prod(shape))
        rgb = np.frombuffer(self._blocks[worker].buffer, np.uint8, count)
        return rgb.reshape(shape).copy()  # the next job overwrites the block

    def close(self) -> None:
        """Free all blocks."""
        for block in self._blocks.values():
            block.close()
        self._blocks.clear()
