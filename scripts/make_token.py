"""Make a token for a server with authentication, valid for some minutes.

    .venv/bin/python scripts/make_token.py --scope view --stream me --minutes 60

Prints the token. Open http://HOST:8000/?stream=me#token=TOKEN, or send the header `Authorization:
Bearer TOKEN`. `--tokens` is the token file of the server (default: TELEWARP_TOKENS, otherwise
tokens.toml). If it does not exist, it is created with a new signing key, readable by its owner
only:

    signing_keys = ["..."]      # the first one signs, all are accepted

    [[token]]                   # optional tokens that do not expire
    name = "studio"             # appears in the log
    secret = "..."              # 16 characters or more: letters, digits, "._~-"
    scopes = ["publish"]        # publish, view, drive, admin
    streams = ["me"]            # default: all

The server reads the file when it starts.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from server.auth.grants import Scope
from server.auth.tokens import read_tokens
from server.errors import SettingsError

LONGEST_MINUTES = 366 * 24 * 60


def main(arguments: list[str]) -> int:
    """Print a token. Returns the exit code."""
    wanted = _read(arguments)
    try:
        if not wanted.tokens.exists():
            _make_file(wanted.tokens)
            print(f"make_token: created {wanted.tokens} with a new signing key", file=sys.stderr)
        tokens = read_tokens(wanted.tokens)
        print(tokens.sign(wanted.scope, wanted.stream or None, wanted.minutes))
    except (SettingsError, OSError) as error:
        print(f"make_token: {error}", file=sys.stderr)
        return 1
    return 0


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Make a token for a server with authentication.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--tokens",
        type=Path,
        default=os.environ.get("TELEWARP_TOKENS", "tokens.toml"),
        help="token file of the server; created if it does not exist",
    )
    parser.add_argument(
        "--scope",
        type=Scope,
        choices=list(Scope),
        action="append",
        required=True,
        help="permission of the token; may be repeated",
    )
    parser.add_argument(
        "--stream",
        action="append",
        help="stream it is valid for (default: all); may be repeated",
    )
    parser.add_argument("--minutes", type=_minutes, default=60.0, help="validity of the token")
    return parser.parse_args(arguments)


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes <= LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"expected 0 to {LONGEST_MINUTES}, got {text}")
    return minutes


def _make_file(file: Path) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as new:
        new.write(f'signing_keys = ["{secrets.token_urlsafe(48)}"]\n')


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
