"""How kernels are launched, and what stands in for a launch in tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from torch import Tensor

Argument = Tensor | int | float
"""An argument of a kernel that may change from launch to launch."""


class Launch(Protocol):
    """Launches one kernel."""

    def __call__(
        self, kernel: Any, grid: tuple[int, ...], *arguments: Argument, **constants: Any
    ) -> None:
        """Launch.

        Args:
            kernel: A function decorated with `triton.jit`.
            grid: Number of programs along each axis.
            *arguments: Its arguments up to the first constant.
            **constants: Its `tl.constexpr` arguments, and options of the compiler.
        """


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Argument, **constants: Any) -> None:
    """Launch on the current CUDA stream, or in the interpreter (`TRITON_INTERPRET=1`)."""
    kernel[grid](*arguments, **constants)


class Launched(NamedTuple):
    """A recorded launch, see `Launch`."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: tuple[Argument, ...]
    constants: dict[str, Any]

    @property
    def name(self) -> str:
        """The kernel's name."""
        return str(self.kernel.__name__)


@dataclass
class LaunchRecorder:
    """Records launches and passes them on if there is another launcher.

    Args:
        then: Launcher that also gets each launch.
    """

    then: Launch | None = None
    launched: list[Launched] = field(default_factory=list)

    def __call__(
        self, kernel: Any, grid: tuple[int, ...], *arguments: Argument, **constants: Any
    ) -> None:
        self.launched.append(Launched(kernel, grid, arguments, constants))
        if self.then is not None:
            self.then(kernel, grid, *arguments, **constants)
