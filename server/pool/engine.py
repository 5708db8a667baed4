"""The real engine: all avatars of a folder on one device.

The only module of the pool that imports the models.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from models.avatar.folder import load_avatar
from models.avatar.manifest import AvatarError
from models.contract.avatar_info import AvatarInfo
from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage, WarpedNv12
from models.contract.rendition import FRAME_SIZES, Rendition
from models.geometry.head import HeadError
from models.runtime.build_runtime import Kernels
from models.runtime.crossfade import Crossfade
from models.runtime.renderer import CachedRenderer, SizedRenderers
from server.errors import RenderError
from server.pool.interface import CPU, DeviceMemory, Fade, LoadedAvatar, Purpose, Slot, SlotMemory
from server.pool.jobs import SlotHandle
from server.pool.slot_layout import ArraySpec, SlotLayout
from server.pool.tensor_slots import CountedSlots, CudaSlots, Dtypes, HostSlots

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedRenderer:
    """An avatar on the device of one engine; see `LoadedAvatar`."""

    renderer: CachedRenderer

    @property
    def info(self) -> AvatarInfo:
        """Its manifest."""
        return self.renderer.manifest


def build_engine(
    avatars: Path,
    device: str,
    threads: int,
    purpose: Purpose,
    warp_threads: int = 1,
    kernels: Kernels = "auto",
) -> ModelEngine:
    """Build the engine of `ModelEngineFactory`.

    Raises:
        AvatarError: If no avatar can be loaded.
        RuntimeError: If the GPU cannot be used.
    """
    torch.set_num_threads(threads)  # of this process; before the first operator starts the threads
    if device != CPU:
        torch.cuda.set_device(device)
        probe(torch.device(device))  # else a failed GPU would be reported for every avatar
    renderers = load_renderers(avatars, device, warp_threads, kernels)
    if purpose == "warp":  # workers warp single images only, which need no batches
        for renderer in renderers.values():
            renderer.warm_up_batches()
    return ModelEngine(renderers, warp_threads, kernels)


def device_memory(device: str) -> DeviceMemory | None:
    """Return the memory usage of a device that this process uses; None for the CPU."""
    if device == CPU:
        return None
    free, total = torch.cuda.mem_get_info(device)
    return DeviceMemory(total - free, total)


def find_gpus() -> tuple[tuple[str, ...], str | None]:
    """Return the GPUs that torch can use, and the reason if there are none; initializes none.

    The number alone is not enough: a driver that is too old for this build of torch still reports
    its GPUs.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if usable:
        return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count())), None
    if torch.version.cuda is None:
        return (), "this build of torch has no CUDA"
    reasons = [str(warning.message).split(" (Triggered internally")[0] for warning in caught]
    return (), "; ".join(reasons) or "none was found"


def probe(device: torch.device) -> None:
    """Compute on a GPU; raises the error of CUDA if it has failed."""
    torch.zeros(1, device=device).add_(1).item()


def sleep_until_done(device: torch.device) -> None:
    """Sleep until the GPU has finished the launches of this thread.

    `torch.cuda.synchronize` keeps a core busy meanwhile, and a worker of a GPU refreshes all the
    time. A core that wakes up costs some 50 us, so frames do not wait like this.
    """
    done = torch.cuda.Event(blocking=True)
    done.record(torch.cuda.current_stream(device))
    done.synchronize()


def load_renderers(
    folder: Path, device: str, warp_threads: int = 1, kernels: Kernels = "auto"
) -> dict[str, CachedRenderer]:
    """Load every avatar of a folder onto a device, ready to render at full speed.

    Avatars that cannot be loaded are logged and skipped.

    Raises:
        AvatarError: If no avatar can be loaded.
    """
    renderers = {}
    problems = []
    for manifest in sorted(folder.glob("*/manifest.json")):
        try:
            renderer = CachedRenderer(load_avatar(manifest.parent), device, warp_threads, kernels)
            renderer.warm_up()
            if renderer.manifest.id in renderers:
                raise AvatarError(f"{manifest}: there is another avatar {renderer.manifest.id!r}")
        except AvatarError as exc:
            logger.error("avatar %s is skipped: %s", manifest.parent.name, exc)
            problems.append(str(exc))
        except Exception as exc:
            # An unexpected error in one avatar must not prevent the others from loading.
            logger.exception("avatar %s is skipped", manifest.parent.name)
            problems.append(f"{manifest.parent}: {type(exc).__name__}: {exc}")
        else:
            renderers[renderer.manifest.id] = renderer
    if not renderers:
        found = "; ".join(problems) or "no folder in it has a manifest.json"
        raise AvatarError(f"{folder} must hold at least one avatar: {found}")
    return renderers


class ModelEngine:
    """See `Engine`.

    Args:
        renderers: Renderers by avatar id, all on one device.
        warp_threads: Number of threads that share one warp on a CPU, for avatars added later.
        kernels: What warps on a GPU, for avatars added later.
    """

    def __init__(
        self,
        renderers: Mapping[str, CachedRenderer],
        warp_threads: int = 1,
        kernels: Kernels = "auto",
    ) -> None:
        self._renderers = {k: SizedRenderers(renderer) for k, renderer in renderers.items()}
        self._warp_threads, self._kernels = warp_threads, kernels
        self._avatars: dict[str, AvatarInfo] = {k: r.manifest for k, r in renderers.items()}
        self._layouts = {k: _slot_layouts(r) for k, r in renderers.items()}
        self._device = next(iter(renderers.values())).device

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """See `Engine`."""
        return self._avatars

    def allocate(self, rendition: Rendition) -> SlotMemory:
        """See `Engine`."""
        layout, dtypes = self._layouts[rendition.avatar_id][rendition.size]
        if self._device.type == "cuda":
            return self._counted(rendition, CudaSlots.allocate(self._device, layout, dtypes))
        return self._counted(rendition, HostSlots.allocate(layout, dtypes))

    def attach(self, rendition: Rendition, handle: SlotHandle) -> SlotMemory:
        """See `Engine`."""
        slots = CudaSlots if self._device.type == "cuda" else HostSlots
        layout, dtypes = self._layouts[rendition.avatar_id][rendition.size]
        return self._counted(rendition, slots.attach(handle, layout, dtypes))

    def _counted(self, rendition: Rendition, slots: SlotMemory) -> SlotMemory:
        """Keep the renderer of a size while some of its slots are open.

        On a GPU it is kept for ever, because its graphs take long to capture and sizes are few.
        """
        if self._device.type == "cuda":
            return slots
        renderers = self._renderers[rendition.avatar_id]
        renderers.begin_use(rendition.size)
        return CountedSlots(slots, partial(renderers.end_use, rendition.size))

    def reclaim(self, handle: SlotHandle) -> None:
        """See `Engine`."""
        if self._device.type == "cuda":
            CudaSlots.reclaim(handle)

    def slot_layouts(self, avatar_id: str) -> Mapping[int, SlotLayout] | None:
        """See `Engine`."""
        if self._device.type == "cuda":
            return None
        return {size: layout for size, (layout, _) in self._layouts[avatar_id].items()}

    def largest_batch(self, rendition: Rendition) -> int:
        """See `Engine`."""
        return self._renderers[rendition.avatar_id].own.largest_batch

    def refresh(self, rendition: Rendition, state: FrameState, slot: Slot) -> None:
        """See `Engine`."""
        with _reject_bad_states():
            self._at(rendition).refresh(state, _cache(slot))
        if self._device.type == "cuda":
            sleep_until_done(self._device)

    def probe(self) -> None:
        """See `Engine`."""
        if self._device.type == "cuda":
            probe(self._device)

    def open_fade(self, rendition: Rendition, previous: Fade | None = None) -> Fade:
        """See `Engine`."""
        # `Crossfade` works on tensors, which is what the slots of this engine hold (`_cache`).
        if previous is not None:
            return cast(Fade, cast(Crossfade, previous).copy())
        return cast(Fade, self._at(rendition).crossfade())

    def warp(
        self, rendition: Rendition, state: FrameState, slot: Slot, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """See `Engine`."""
        with _reject_bad_states():
            return self._at(rendition).warp_nv12(state, _cache(slot), backdrop)

    def warp_batch(
        self, rendition: Rendition, frames: Sequence[tuple[FrameState, Slot]]
    ) -> list[WarpedNv12]:
        """See `Engine`."""
        with _reject_bad_states():
            return self._at(rendition).warp_nv12_batch(
                [(state, _cache(slot)) for state, slot in frames]
            )

    def full(self, avatar_id: str, state: FrameState, size: int | None = None) -> RgbImage:
        """See `Engine`."""
        try:
            with _reject_bad_states():
                return self._renderers[avatar_id].own.full(state, size)
        except torch.OutOfMemoryError as exc:
            # Other sizes still fit, so the worker can continue.
            rows = size or self.avatars[avatar_id].resolution
            raise RenderError(f"no memory for an image of {rows} rows") from exc

    def warp_from(self, avatar_id: str, state: FrameState, cached: FrameState) -> RgbImage:
        """See `Engine`."""
        renderer = self._renderers[avatar_id].own
        with _reject_bad_states():
            cache = renderer.allocate_cache()
            renderer.refresh(cached, cache)
            return renderer.warp(state, cache).rgb

    def load(self, folder: Path) -> LoadedRenderer:
        """See `Engine`."""
        try:
            renderer = CachedRenderer(
                load_avatar(folder), str(self._device), self._warp_threads, self._kernels
            )
        except AvatarError as exc:
            raise RenderError(str(exc)) from exc
        renderer.warm_up()
        return LoadedRenderer(renderer)

    def add(self, loaded: LoadedAvatar) -> None:
        """See `Engine`."""
        renderer = cast(LoadedRenderer, loaded).renderer
        avatar_id = renderer.manifest.id
        self._layouts[avatar_id] = _slot_layouts(renderer)
        self._renderers[avatar_id] = SizedRenderers(renderer)
        self._avatars[avatar_id] = renderer.manifest

    def remove(self, avatar_id: str) -> None:
        """See `Engine`."""
        for kept in (self._avatars, self._renderers, self._layouts):
            kept.pop(avatar_id, None)

    def _at(self, rendition: Rendition) -> CachedRenderer:
        return self._renderers[rendition.avatar_id].at(rendition.size)


@contextmanager
def _reject_bad_states() -> Iterator[None]:
    """Raise a `RenderError` for the job of a state that does not fit the avatar."""
    try:
        yield
    except HeadError as exc:
        raise RenderError(str(exc)) from exc


def _cache(slot: Slot) -> dict[str, Tensor]:
    return cast(dict[str, Tensor], slot)  # allocated by tensor_slots.py


def _slot_layouts(renderer: CachedRenderer) -> dict[int, tuple[SlotLayout, Dtypes]]:
    """Return the layouts of slots for all sizes of frames."""
    return {size: _slot_layout(renderer, size) for size in (renderer.size, *FRAME_SIZES)}


def _slot_layout(renderer: CachedRenderer, size: int) -> tuple[SlotLayout, Dtypes]:
    specs = renderer.cache_layout_at(size)
    arrays = [ArraySpec(spec.name, spec.shape, spec.dtype.itemsize) for spec in specs]
    return SlotLayout(arrays), {spec.name: spec.dtype for spec in specs}
