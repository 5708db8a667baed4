"""Run a host as a child process, and end it when its parent process has ended.

    python -m server.cluster.child_process MODULE OPTION...

calls the module's `main` with the options. The parent holds the other end of standard input; the
system closes it even if the parent was killed.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time

GRACE_S = 5.0
"""Longest time for an orderly end after SIGTERM; SIGKILL follows."""


def main(arguments: list[str]) -> int:
    """Run a module's `main` until it or the parent process ends.

    Args:
        arguments: The module, then its options.

    Returns:
        The exit code of `main`.
    """
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    module, *options = arguments
    code: int = importlib.import_module(module).main(options)
    return code


def _end_with_parent() -> None:
    while os.read(0, 1024):
        """Ignore input until its end."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
