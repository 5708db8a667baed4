"""Runs a command at low priority, and ends it when the server has ended.

    python -m server.avatar_store.child_process NICENESS MEMORY_BYTES COMMAND...

Must be started as the leader of a process group, which the command and its children join. Each runs
at low priority and with a memory limit. The server holds the other end of standard input; the
system closes it even if the server was killed.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 3.0
"""Longest time for an orderly end after SIGTERM; SIGKILL follows."""


def main(arguments: list[str]) -> int:
    """Run the command.

    Args:
        arguments: The increase of the niceness; the memory limit, bytes; then the command.

    Returns:
        The exit code of the command, or minus the signal that ended it.
    """
    niceness, memory, *command = arguments
    os.nice(int(niceness))
    # Not RLIMIT_AS, because torch reserves far more address space than it uses memory.
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    # SIGTERM is sent to the whole group. A handler, because the command would inherit SIG_IGN.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    threading.Thread(target=_end_with_server, name="server", daemon=True).start()
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def _end_with_server() -> None:
    while os.read(0, 1024):
        """Ignore input until its end."""
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
