"""Loading avatars into, and freeing them from, all processes while viewers watch others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from models.contract.avatar_info import AvatarInfo
from server.errors import AvatarExistsError, AvatarNotFoundError, RenderError
from server.pool.added_avatars import AddedAvatar, AddedAvatars
from server.pool.cache_slots import CacheSlots
from server.pool.devices import Devices
from server.pool.image_blocks import ImageBlocks
from server.pool.jobs import RemoveAvatar
from server.pool.workers import Workers

logger = logging.getLogger(__name__)

_CLOSING_TIMEOUT_S = 10.0
"""Longest time from the end of a session to the end of its connection."""


class AvatarChanges:
    """Adds and removes avatars, one at a time.

    Args:
        avatars: All avatars by id; changed here, and filled by the owner at the start.
        added: Those that were added.
        devices: Load them for warps.
        workers: Load them for refreshes.
        images: Blocks that have room for their images.
        open_slots: All open cache slots, whenever it is iterated over.
    """

    def __init__(
        self,
        avatars: dict[str, AvatarInfo],
        added: AddedAvatars,
        devices: Devices,
        workers: Workers,
        images: ImageBlocks,
        open_slots: Iterable[CacheSlots],
    ) -> None:
        self._avatars, self._added = avatars, added
        self._devices, self._workers, self._images = devices, workers, images
        self._open_slots = open_slots
        self._changing = asyncio.Lock()
        self._slots_closed = asyncio.Event()

    def note_closed(self) -> None:
        """Must be called when cache slots have been closed."""
        self._slots_closed.set()

    async def add(self, folder: Path, dispatch: Callable[[], None]) -> AvatarInfo:
        """Load another avatar in all processes; see `RenderPool.add_avatar`.

        Args:
            folder: The avatar's folder.
            dispatch: Gives the workers the jobs to load it.
        """
        async with self._changing:
            warps = self._devices.working
            loaded = await asyncio.gather(*(warp.load(folder) for warp in warps))
            if not loaded:
                raise RenderError("no device works at present")
            info = loaded[0].info
            if info.id in self._avatars or info.id in self._added:
                raise AvatarExistsError(f"there is another avatar {info.id!r}")
            self._images.announce(info)
            self._added.add(info, folder)
            try:
                for warp, avatar in zip(warps, loaded, strict=True):
                    await warp.add(avatar, folder)
                for warp in set(self._devices.all).difference(warps):
                    await warp.follow(info.id, folder)
                dispatch()
                await self._added.wait_loaded(info.id, self._workers)
            except BaseException:
                await self._unload(self._added.remove(info.id))
                raise
            self._avatars[info.id] = info
            return info

    async def remove(self, avatar_id: str, end_use: Callable[[], None]) -> None:
        """Free an added avatar in all processes; see `RenderPool.remove_avatar`."""
        if avatar_id not in self._added or self._avatars.pop(avatar_id, None) is None:
            raise AvatarNotFoundError(f"no avatar {avatar_id!r} was added")
        # Outside the lock: sessions end at once, also while another avatar is being loaded.
        end_use()
        async with self._changing:
            added = self._added.remove(avatar_id)
            await self._wait_closed(avatar_id)
            await self._unload(added)

    async def _wait_closed(self, avatar_id: str) -> None:
        """Wait until the slots of an avatar are closed."""
        try:
            async with asyncio.timeout(_CLOSING_TIMEOUT_S):
                while any(slots.rendition.avatar_id == avatar_id for slots in self._open_slots):
                    self._slots_closed.clear()
                    await self._slots_closed.wait()
        except TimeoutError:
            logger.error("avatar %s is freed although it is still in use", avatar_id)

    async def _unload(self, added: AddedAvatar) -> None:
        for warp in self._devices.all:
            await warp.remove(added.info.id)
        for worker in self._workers:
            if worker.name in added.loaded:
                worker.send(RemoveAvatar(added.info.id))
