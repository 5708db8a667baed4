"""The U-Net of full renders on a GPU, in the way that measures fastest there.

Launched operator by operator, its some sixty kernels may take longer to launch than to run; a CUDA
graph launches them at once, but copies its input and keeps memory of its own. Which is faster
depends on GPU, host and size of the network, so both are timed at the first render.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch import Tensor, nn

from models.networks.generator import GeneratorOutput

logger = logging.getLogger(__name__)

RunUnet = Callable[[Tensor], GeneratorOutput]
_WARM_UPS, _TIMED = 3, 10
"""Calls before and while timing: cuDNN chooses its algorithms in the first ones."""


class MeasuredUnet:
    """Runs a U-Net operator by operator or as a CUDA graph. Used by one thread at a time.

    Args:
        unet: The U-Net, on its device. Only inputs of the first one's shape run as a graph.
    """

    def __init__(self, unet: nn.Module) -> None:
        self._unet = unet
        self._chosen: RunUnet | None = None
        self._shape: torch.Size | None = None

    def __call__(self, features: Tensor) -> GeneratorOutput:
        """Render; with a graph, the output is overwritten by the next call."""
        if self._chosen is None:
            self._chosen, self._shape = self._choose(features), features.shape
        run = self._chosen if features.shape == self._shape else self._unet
        output: GeneratorOutput = run(features)
        return output

    def anew(self) -> MeasuredUnet:
        """Return a new instance for the same U-Net, measured with inputs of another shape."""
        return MeasuredUnet(self._unet)

    def _choose(self, features: Tensor) -> RunUnet:
        """Time the variants on a GPU; other devices have only one."""
        if features.device.type != "cuda":
            return self._unet
        ways: dict[str, RunUnet] = {
            "operators": self._unet,
            "graph": GraphedUnet(self._unet, features),
        }
        times_ms = {name: time_on_gpu_ms(run, features) for name, run in ways.items()}
        name = fastest(times_ms)
        logger.info("full renders on %s by %s: %s ms", features.device, name, times_ms)
        return ways[name]


class GraphedUnet:
    """A U-Net as a CUDA graph.

    Args:
        unet: The U-Net.
        features: An input, for its shape and layout.
    """

    def __init__(self, unet: nn.Module, features: Tensor) -> None:
        self._features = features.clone(memory_format=torch.preserve_format)
        stream = torch.cuda.Stream(features.device)
        stream.wait_stream(torch.cuda.current_stream(features.device))
        # On a side stream and before the capture, as torch's notes on CUDA graphs ask for: set-up
        # and the choice of algorithms must not be captured.
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                unet(self._features)
        torch.cuda.current_stream(features.device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(features.device),
            torch.cuda.graph(self._graph, capture_error_mode="thread_local"),
        ):
            self._output: GeneratorOutput = unet(self._features)

    def __call__(self, features: Tensor) -> GeneratorOutput:
        """Render; the output is overwritten by the next call."""
        self._features.copy_(features)
        self._graph.replay()
        return self._output


def fastest(times_ms: Mapping[str, float]) -> str:
    """Return the name with the least time, of equals the first."""
    return min(times_ms, key=lambda name: times_ms[name])


def time_on_gpu_ms(run: RunUnet, features: Tensor) -> float:
    """Return the median time of a call on the GPU, launching included, milliseconds."""
    for _ in range(_WARM_UPS):
        run(features)
    times_ms: list[float] = []
    with torch.cuda.device(features.device):
        for _ in range(_TIMED):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            # The GPU must be idle at the start, or launching would hide behind the call before.
            torch.cuda.synchronize()
            begin.record()
            run(features)
            end.record()
            end.synchronize()
            times_ms.append(begin.elapsed_time(end))
    return round(median(times_ms), 3)
