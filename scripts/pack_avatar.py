"""Pack an avatar into one file, which `scripts/import_avatar.py` and `POST /v1/avatars` take.

    .venv/bin/python scripts/pack_avatar.py models/avatars/default default.telewarp
    .venv/bin/python scripts/pack_avatar.py runs/me/avatar me.telewarp

The format is described in models/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from models.avatar.archive import pack_avatar
from models.avatar.manifest import AvatarError


@dataclass(frozen=True)
class Arguments:
    """Pack an avatar into an archive."""

    avatar: tyro.conf.Positional[Path]
    """Folder of the avatar."""
    archive: tyro.conf.Positional[Path]
    """File to write; an existing one is replaced."""


def main(arguments: Arguments) -> int:
    """Pack the avatar. Returns the exit code."""
    try:
        pack_avatar(arguments.avatar, arguments.archive)
    except (AvatarError, OSError) as error:
        print(f"pack_avatar: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.archive}: {arguments.archive.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
