"""Pack an avatar into one file, which `scripts/import_avatar.py` and `POST /v1/avatars` take.

    .venv/bin/python scripts/pack_avatar.py models/avatars/default default.telewarp
    .venv/bin/python scripts/pack_avatar.py runs/me/avatar me.telewarp

The format is described in models/README.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from models.avatar.archive import pack_avatar
from models.avatar.manifest import AvatarError


@dataclass(frozen=True)
class Arguments:
    """Pack an avatar into an archive."""

    avatar: Path
    """Folder of the avatar."""
    archive: Path
    """File to write; an existing one is replaced."""


def read_arguments() -> Arguments:
    """Parse the command line. Without tyro, which the image of the server does not contain."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("avatar", type=Path, help="folder of the avatar")
    parser.add_argument("archive", type=Path, help="file to write; an existing one is replaced")
    return Arguments(**vars(parser.parse_args()))


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
    sys.exit(main(read_arguments()))
