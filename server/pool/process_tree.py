"""Children and descendants of a process, from Linux's /proc."""

from __future__ import annotations

import os


def children(pid: int) -> list[int]:
    """Return the ids of the children of a process that run.

    Args:
        pid: Id of a process; it may have ended.

    Returns:
        Ids; none where the system does not list them (other than Linux).
    """
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # a thread lists those that it started
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:  # the process or a thread has ended in between
        pass
    return found


def descendants(pid: int) -> set[int]:
    """Return the ids of all descendants of a process, as `children`."""
    found: set[int] = set()
    unread = [pid]
    while unread:
        # Processes may end and ids may be reused meanwhile, so each is read once.
        new = set(children(unread.pop())) - found - {pid}
        found |= new
        unread += new
    return found
