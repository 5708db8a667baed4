"""Runs a host as the child of its keeper, and ends it when the keeper is gone, however it went.

    python -m server.cluster.tethered MODULE OPTION...

calls the module's `main` with the options. The keeper holds the other end of standard input; the
system closes it even for a keeper that was killed.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time

GRACE_S = 5.0
"""How long ending in order may take."""


def main(arguments: list[str]) -> int:
    """Run a module's `main` until it ends, or the keeper does. Returns the exit code."""
    threading.Thread(target=_end_with_keeper, name="tether", daemon=True).start()
    module, *options = arguments
    code: int = importlib.import_module(module).main(options)
    return code


def _end_with_keeper() -> None:
    while os.read(0, 1024):
        """A keeper has nothing to say."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
