"""Frames from inputs on the host to images on the host, by one CUDA graph per batch size.

A replay of the graph copies the parameters to the GPU, runs the kernels and copies the images back.
The host prepares parameters before it and waits for the images after it, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor

from models.geometry.head import Head
from models.kernels.cuda.blocks import GPU_BLOCKS, Blocks
from models.kernels.cuda.launch import Launch, launch
from models.kernels.cuda.live_path import LiveModel, LivePath
from models.kernels.cuda.parameters import FrameInput, FrameParameters


class Output(Enum):
    """The format of the images."""

    RGB = "rgb"
    """(B, H, W, 3) uint8."""
    NV12 = "nv12"
    """(B, 3 H/2, W) uint8, see `kernels.nv12`."""


class FrameRenderer:
    """Renders batches of up to B frames of one avatar. Used by one thread at a time.

    On a CPU, where Triton's interpreter stands in for the GPU, the kernels run one by one.

    Args:
        model: The avatar, on the device.
        head: Its head.
        batch: B.
        output: Format of the images.
        blocks: Sizes of the kernels' blocks.
        run: Launches the kernels.
    """

    def __init__(
        self,
        model: LiveModel,
        head: Head,
        batch: int,
        output: Output = Output.RGB,
        blocks: Blocks = GPU_BLOCKS,
        run: Launch = launch,
    ) -> None:
        self._device = model.neutral.device
        self._batch, self._output = batch, output
        pinned = self._device.type == "cuda"
        self._parameters = FrameParameters(head, len(model.background), batch, pinned=pinned)
        self._path = LivePath(model, batch, self._parameters.words, blocks, run)
        self._source = getattr(self._path.buffers, output.value)
        self._images = torch.zeros_like(self._source, device="cpu", pin_memory=pinned)
        self._graph: torch.cuda.CUDAGraph | None = None

    @property
    def bytes_in(self) -> int:
        """Bytes that go to the device for a frame without vertices of its own."""
        return self._parameters.host[0].nbytes

    @property
    def bytes_out(self) -> int:
        """Bytes that come back for a frame."""
        return int(self._images[0].nbytes)

    @torch.inference_mode()
    def prepare(self, frames: Sequence[FrameInput]) -> None:
        """Write the parameters of 1 to B frames.

        Vertices that a state brings are copied to the device here, V x 12 bytes each.

        Raises:
            HeadError: If a state does not fit the head.
        """
        assert 1 <= len(frames) <= self._batch
        for index in range(self._batch):
            # Unused entries render the first frame again: their caches' addresses must be valid.
            frame = frames[index] if index < len(frames) else frames[0]
            self._parameters.fill(index, frame)
            if frame.state.vertices is not None:
                own = torch.from_numpy(frame.state.vertices)
                self._path.own_vertices[index].copy_(own)

    @torch.inference_mode()
    def render(self) -> Tensor:
        """Render the prepared frames, and wait for them.

        Returns:
            The images of all B batch entries, overwritten by the next call.
        """
        if self._device.type != "cuda":
            self._run_once()
            return self._images
        with torch.cuda.device(self._device):
            if self._graph is None:
                self._graph = self._capture()
            self._graph.replay()
            torch.cuda.current_stream().synchronize()
        return self._images

    def _run_once(self) -> None:
        self._path.parameters.copy_(self._parameters.host, non_blocking=True)
        if self._output is Output.NV12:
            self._path.render_nv12()
        else:
            self._path.render()
        self._images.copy_(self._source, non_blocking=True)

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Record the copies and launches as a graph."""
        # Once before the capture: kernels are compiled and loaded at their first launch.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._run_once()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads of a server may allocate meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._run_once()
        return graph
