"""Input and results of checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]
"""Measurements by name, as JSON values."""


class SkipError(Exception):
    """The check cannot run here; the text says why."""


class WrongError(Exception):
    """The check found something wrong; the text says what was expected and found.

    Args:
        text: What was expected and found.
        values: Measurements so far.
    """

    def __init__(self, text: str, values: Values | None = None) -> None:
        super().__init__(text)
        self.values = values or {}


class MissedError(Exception):
    """The check found a figure that is worse than its goal; nothing is wrong.

    Args:
        text: The goal and the figure.
        values: Measurements.
    """

    def __init__(self, text: str, values: Values) -> None:
        super().__init__(text)
        self.values = values


@dataclass(frozen=True)
class Target:
    """Device under test and number of repetitions."""

    device: str
    """`cuda:0`, or `cpu` for a dry run."""
    rounds: int
    """Repetitions of a measurement."""

    @property
    def is_gpu(self) -> bool:
        """Whether this is not a dry run."""
        return self.device != "cpu"

    def require_gpu(self, what: str) -> None:
        """Skip the rest of a check in a dry run; `what` describes it.

        Raises:
            SkipError: Without a GPU.
        """
        if not self.is_gpu:
            raise SkipError(f"needs a GPU: {what}")


Check = Callable[[Target], Values]
"""Returns its measurements; raises SkipError, MissedError, WrongError, or any other error."""


def expect(holds: bool, text: str, values: Values) -> None:
    """Raise a `WrongError` unless a condition holds."""
    if not holds:
        raise WrongError(text, values)
