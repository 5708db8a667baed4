"""The project's goals for a GPU, an H100, and the avatar that they are stated for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.avatar.folder import SHIPPED, Avatar, load_avatar
from scripts.benchmarking.avatars import load_widened
from scripts.gpu_checks.check import MissedError, Target, Values

_SIZE, _NETWORK_SIZE = 512, 2.0


@dataclass(frozen=True)
class Goal:
    """A bound of a figure."""

    what: str
    bound: Literal["at most", "at least"]
    limit: float

    def met(self, found: float) -> bool:
        """Return whether a figure is within the bound."""
        return found <= self.limit if self.bound == "at most" else found >= self.limit

    def __str__(self) -> str:
        return f"{self.what} {self.bound} {self.limit:g}"


WARP = Goal("ms of a warp, from the pose to NV12,", "at most", 1.0)
FULL = Goal("ms of a full render", "at most", 5.0)
BATCH = Goal("frames per second in batches of 8", "at least", 5000.0)
BESIDE = Goal("time of a warp beside refreshes, divided by that alone,", "at most", 1.2)


def goal_avatar(target: Target) -> Avatar:
    """Return random networks of size 2 at 512x512; in a dry run the shipped avatar, which is
    smaller.
    """
    if not target.is_gpu:
        return load_avatar(SHIPPED / "default")
    return load_widened(SHIPPED / "default", _SIZE, _NETWORK_SIZE)


def judge(target: Target, found: Mapping[Goal, float], values: Values) -> None:
    """Compare figures with their goals, and add the outcome to the values of a check.

    Raises:
        MissedError: If a GPU misses a goal. A CPU is not judged.
    """
    if not target.is_gpu:
        values["goals"] = {str(goal): "needs a GPU" for goal in found}
        return
    values["goals"] = {
        str(goal): "met" if goal.met(figure) else "missed" for goal, figure in found.items()
    }
    missed = [
        f"expected {goal}, got {found[goal]:g}" for goal in found if not goal.met(found[goal])
    ]
    if missed:
        raise MissedError("; ".join(missed), values)
