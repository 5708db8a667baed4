"""The folder of avatars that were added at run time, and their deletion.

    STORE/avatars/JOB/     the files of one avatar, as it is served
    STORE/jobs/JOB/        a job's record, its uploaded file and all that it computes
    STORE/deleted/         what is being deleted

A folder has the name of the job that made it, never the id of the avatar: ids may be used again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
from pathlib import Path

from models.contract.avatar_info import AvatarInfo
from models.contract.shown_text import quoted
from server.errors import (
    AvatarNotFoundError,
    ForbiddenError,
    SettingsError,
    StorageError,
    TelewarpError,
)
from server.pool.pool import RenderPool
from server.streams.streams import Streams

logger = logging.getLogger(__name__)

_SERVED = ("manifest.json", "head.npz", "weights.safetensors", "background.png", "ORIGIN.md")
"""Files of an avatar that are kept. A job may leave others, with images of the person."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RESERVED = ("jobs",)
"""Words that the API uses in place of an id in paths."""
DELETED = "its avatar was deleted"


class AvatarStore:
    """The avatars of one folder.

    Args:
        folder: Created if it does not exist.
        pool: Renders them.
        streams: Those of a deleted avatar are deleted.

    Raises:
        SettingsError: If the folder cannot be used.
    """

    def __init__(self, folder: Path, pool: RenderPool, streams: Streams) -> None:
        self._pool, self._streams = pool, streams
        self._avatars, self._deleted = folder / "avatars", folder / "deleted"
        self._folders: dict[str, Path] = {}
        """Folders by avatar id, including avatars that could not be loaded."""
        try:
            for each in (folder, self._avatars, self._deleted):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
            for rest in self._deleted.iterdir():
                shutil.rmtree(rest)  # the server was stopped meanwhile
        except OSError as exc:
            raise SettingsError(f"--avatar-store {folder}: {exc.strerror or exc}") from exc

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all avatars in the store."""
        return tuple(self._folders)

    def holds(self, job_id: str) -> bool:
        """Return whether the avatar of a job is in the store."""
        return (self._avatars / job_id / "manifest.json").is_file()

    async def restore(self) -> None:
        """Serve the avatars of earlier runs; one that cannot be loaded is logged and kept."""
        for folder in sorted(self._avatars.iterdir(), key=lambda path: path.stat().st_mtime):
            try:
                self._folders[_read_id(folder)] = folder
                await self._pool.add_avatar(folder)
            except (OSError, ValueError, KeyError, TelewarpError) as exc:
                logger.error("stored avatar %s is left out: %s", folder.name, exc)

    async def add(self, job_id: str, made: Path, avatar_id: str | None) -> AvatarInfo:
        """Move an avatar that a job has made into the store and serve it.

        Args:
            job_id: Name of its folder.
            made: Folder with the new avatar, on the same file system.
            avatar_id: Its id from now on; None for the one in its manifest.

        Raises:
            AvatarExistsError: If an avatar has its id.
            RenderError: If it cannot be loaded.
            StorageError: If it cannot be stored.
        """
        folder = self._avatars / job_id
        try:
            # Not in a thread, which would continue if this is cancelled because the job is deleted.
            _move(made, folder, avatar_id)
        except (OSError, ValueError) as exc:
            raise StorageError(f"cannot store the avatar: {exc}") from exc
        try:
            info = await self._pool.add_avatar(folder)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        self._folders[info.id] = folder
        return info

    async def delete(self, avatar_id: str) -> str:
        """Delete an avatar everywhere: streams, processes and files.

        Returns:
            The id of the job that made it.

        Raises:
            AvatarNotFoundError: If there is none.
            ForbiddenError: If it does not belong to this store.
            StorageError: If a file cannot be deleted; the avatar is no longer served.
        """
        folder = self._folders.pop(avatar_id, None)
        if folder is None and avatar_id in self._pool.avatars:
            raise ForbiddenError(
                f"avatar {avatar_id!r} belongs to --avatars: expected one of --avatar-store"
            )
        if folder is None:
            known = ", ".join(sorted(self._folders)) or "none"
            raise AvatarNotFoundError(f"no avatar {avatar_id!r}; stored are: {known}")
        # A client that disconnects must not interrupt the deletion.
        await asyncio.shield(asyncio.create_task(self._delete(avatar_id, folder)))
        return folder.name

    async def _delete(self, avatar_id: str, folder: Path) -> None:
        trash = self._deleted / folder.name
        try:
            folder.rename(trash)  # first, so that no later run of the server loads it again
            if avatar_id in self._pool.avatars:
                await self._pool.remove_avatar(avatar_id, lambda: self._end_streams(avatar_id))
            await asyncio.to_thread(shutil.rmtree, trash)
        except OSError as exc:
            raise StorageError(f"cannot delete the avatar: {exc.strerror or exc}") from exc
        logger.info("avatar %s is deleted", avatar_id)

    def _end_streams(self, avatar_id: str) -> None:
        for stream in self._streams.list():
            if stream.avatar.id == avatar_id:
                self._streams.delete(stream.id, DELETED)


def _read_id(folder: Path) -> str:
    return str(json.loads((folder / "manifest.json").read_text())["id"])


def _move(made: Path, folder: Path, avatar_id: str | None) -> None:
    """Move the served files, the manifest last, because it makes the folder valid."""
    manifest = made / "manifest.json"
    values = json.loads(manifest.read_text())
    values["id"] = avatar_id or values["id"]
    if not _ID.fullmatch(values["id"]) or values["id"] in _RESERVED:
        raise ValueError(f"expected an id of letters, digits, '-', '_', got {quoted(values['id'])}")
    manifest.write_text(json.dumps(values, indent=1))
    for path in made.iterdir():
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"expected plain files, got {path.name}")
        if path.name not in _SERVED:
            path.unlink()
    made.rename(folder)
