"""Check an avatar's archive, and unpack it into a folder that a server can load.

    .venv/bin/python scripts/import_avatar.py me.telewarp --out avatars
    scripts/serve.sh --avatars avatars

The archive is not trusted: sizes, hashes, kinds and shapes of all files are checked before anything
is loaded, and the avatar is rendered once before it gets its name. `scripts/pack_avatar.py` writes
archives. With `--progress json` each line on standard output is a JSON object, as
`POST /v1/avatars` reads it; the exit code is 2 for an archive that cannot be used.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.avatar.archive import check_avatar, unpack_avatar
from models.avatar.folder import load_avatar
from models.avatar.manifest import AvatarError
from models.runtime.renderer import CachedRenderer

STAGES = ("unpack", "check", "render")
_UNUSABLE = 2


@dataclass(frozen=True)
class Arguments:
    """Import an avatar's archive."""

    archive: Path
    """The archive."""
    out: Path
    """Folder of avatars, in which a folder for this one is created."""
    folder: str | None = None
    """Name of the avatar's folder; default: its id."""
    progress: Literal["text", "json"] = "text"
    """How to report progress on standard output."""


class _Report:
    """Prints progress and the result."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def stage(self, name: str, fraction: float = 0.0) -> None:
        index = STAGES.index(name)
        if self._as_json:
            line = {"stage": name, "index": index, "stages": len(STAGES), "fraction": fraction}
            self._print({**line, "message": f"{name} the archive"})
        elif not fraction:
            print(f"{index + 1} of {len(STAGES)}: {name}")

    def done(self, folder: Path) -> None:
        if self._as_json:
            self._print({"avatar": str(folder)})
        else:
            print(f"to serve it: scripts/serve.sh --avatars {folder.parent}")

    def failed(self, reason: str) -> None:
        if self._as_json:
            self._print({"error": reason})
        else:
            print(f"import_avatar: {reason}", file=sys.stderr)

    def _print(self, line: dict[str, object]) -> None:
        print(json.dumps(line), flush=True)


def import_avatar(arguments: Arguments, report: _Report) -> Path:
    """Check and unpack the archive; return the avatar's folder.

    Raises:
        AvatarError: If the archive cannot be used, or there is an avatar of its id already.
        OSError: If a file cannot be read or written.
    """
    part = arguments.out / ".import.part"
    shutil.rmtree(part, ignore_errors=True)  # of an interrupted import
    try:
        report.stage("unpack")
        unpack_avatar(arguments.archive, part, lambda done: report.stage("unpack", done))
        report.stage("check")
        manifest = check_avatar(part)
        avatar = load_avatar(part)
        report.stage("render")
        CachedRenderer(avatar).warm_up()
        folder = arguments.out / (arguments.folder or folder_name(manifest.id))
        if folder.exists():
            raise AvatarError(f"{folder} exists already: delete it, or give --folder")
        return part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def folder_name(avatar_id: str) -> str:
    """Return the name of an avatar's folder.

    Raises:
        AvatarError: If its id is not a plain folder name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", avatar_id):
        raise AvatarError(
            f"id must be 1 to 64 letters, digits, '-' and '_', got {avatar_id[:80]!r}"
        )
    return avatar_id


def read_arguments() -> Arguments:
    """Parse the command line. Without tyro, which the image of the server does not contain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archive", type=Path, help="the archive")
    parser.add_argument("--out", type=Path, required=True, help="folder of avatars")
    parser.add_argument("--folder", help="name of the avatar's folder; default: its id")
    parser.add_argument("--progress", choices=("text", "json"), default="text")
    return Arguments(**vars(parser.parse_args()))


def main(arguments: Arguments) -> int:
    """Import the archive. Returns the exit code."""
    report = _Report(arguments.progress == "json")
    try:
        folder = import_avatar(arguments, report)
    except (AvatarError, OSError) as error:
        report.failed(str(error))
        return _UNUSABLE
    except MemoryError:
        report.failed("the avatar needs more memory than there is")
        return _UNUSABLE
    report.done(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(read_arguments()))
