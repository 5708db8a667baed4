"""A fake engine for tests: real processes and real shared memory, but images that tests can decode.

Imports no torch, so that its workers start quickly. An image encodes four numbers (`decode_image`,
`decode_frame`): two of the state it shows and two of the state of its cache. Faults are part of the
state (`failing`, `breaking`, `hanging`), so that they occur in whichever process renders it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.contract.avatar_info import AvatarInfo, Subject
from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState, neutral_state
from models.contract.images import BLACK_LUMA, WHITE_LUMA, Nv12Image, RgbImage, WarpedNv12
from models.contract.rendition import FRAME_SIZES, Rendition
from server.errors import PoolBusyError, RenderError
from server.pool.fake_images import Numbers, encode_frame, encode_image, put_over
from server.pool.fake_memory import FakeFade, FakeMemory
from server.pool.interface import CPU, DeviceMemory, Fade, LoadedAvatar, Purpose, Slot
from server.pool.jobs import SlotHandle
from server.pool.shared_block import SharedBlock
from server.pool.slot_layout import ArraySpec, SlotLayout

FOV_FAILS, FOV_BREAKS, FOV_HANGS, FOV_LOSES_DEVICE, FOV_EXHAUSTS = 2.1, 2.2, 2.3, 2.4, 2.5
"""Fields of view that no avatar uses; each one triggers a fault."""
JAW_OPEN = 17
"""Index of `jawOpen` in the expression coefficients."""

_SIDES = ("Left", "Right")
EXPRESSION_NAMES = (
    *(
        f"eye{what}{side}"
        for side in _SIDES
        for what in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
    ),
    *("jawForward", "jawLeft", "jawRight", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight"),
    *(f"mouth{what}{side}" for what in ("Smile", "Frown", "Dimple", "Stretch") for side in _SIDES),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *(f"mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in _SIDES),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("noseSneerLeft", "noseSneerRight", "tongueOut"),
)
"""The 52 ARKit blendshape names in ARKit's order."""


def fake_avatar(avatar_id: str = "default", resolution: int = 64) -> AvatarInfo:
    """Return an avatar of the fake engine: a square of four vertices."""
    return AvatarInfo(
        id=avatar_id,
        name="Fake",
        resolution=resolution,
        expression_names=EXPRESSION_NAMES,
        vertex_count=4,
        triangle_count=2,
        licence="CC0-1.0",
        origin="drawn by server/pool/fake.py",
        eye_position=(0.0, 0.0, 0.7),
        fov_y_rad=0.5,
    )


def fake_state(jaw_open: float = 0.0, eye_x: float = 0.0) -> FrameState:
    """Return a state with two free numbers, which `decode_image` recovers."""
    state = neutral_state(len(EXPRESSION_NAMES), (eye_x, 0.0, 0.7), 0.5)
    state.expression[JAW_OPEN] = jaw_open
    return state


def always(state: FrameState) -> Callable[[float], FrameState]:
    """Return a function that expects this state at any time."""
    return lambda ahead_s: state


def failing(state: FrameState) -> FrameState:
    """Return a copy of the state that raises `RenderError` when rendered."""
    return replace(state, fov_y_rad=FOV_FAILS)


def breaking(state: FrameState) -> FrameState:
    """Return a copy of the state that ends the process that renders it."""
    return replace(state, fov_y_rad=FOV_BREAKS)


def hanging(state: FrameState) -> FrameState:
    """Return a copy of the state that keeps the process that renders it busy forever."""
    return replace(state, fov_y_rad=FOV_HANGS)


def losing_device(state: FrameState) -> FrameState:
    """Return a copy of the state that makes the device fail, as an illegal access on a GPU does."""
    return replace(state, fov_y_rad=FOV_LOSES_DEVICE)


def exhausting(state: FrameState) -> FrameState:
    """Return a copy of the state that asks for more memory than there is."""
    return replace(state, fov_y_rad=FOV_EXHAUSTS)


@dataclass(frozen=True)
class Shown:
    """The numbers encoded in a fake image, each the grey of a quarter, accurate to 1/255."""

    jaw_open: float
    eye_x: float
    cached_jaw_open: float
    cached_eye_x: float


def decode_image(rgb: RgbImage) -> Shown:
    """Recover the numbers that an image (H, W, 3) encodes."""
    return _decode(rgb.mean(axis=2) / 255)


def decode_frame(nv12: Nv12Image) -> Shown:
    """Recover the numbers that a frame (3 H/2, W) encodes."""
    luma = nv12[: len(nv12) * 2 // 3].astype(float)
    return _decode((luma - BLACK_LUMA) / (WHITE_LUMA - BLACK_LUMA))


def _decode(grey: NDArray[np.float64]) -> Shown:
    """Return the numbers of a grey image (H, W) in 0..1."""
    (jaw, eye), (cached_jaw, cached_eye) = grey[[0, -1]][:, [0, -1]].tolist()
    return Shown(jaw, 2 * eye - 1, cached_jaw, 2 * cached_eye - 1)


@dataclass(frozen=True)
class FakeLoaded:
    """See `LoadedAvatar`."""

    info: AvatarInfo


@dataclass(frozen=True)
class FakeEngineFactory:
    """Builds fake engines; picklable."""

    avatars: tuple[AvatarInfo, ...] = (fake_avatar(),)
    refresh_s: float = 0.0
    """Duration of a refresh, during which the cache is being written."""
    warp_s: float = 0.0
    """Duration of a warp, during which the cache is being read."""
    full_s: float = 0.0
    """Duration of a full render."""
    fade_s: float = 0.0
    """Duration of a crossfade. The new cache is nevertheless shown fully from the start."""
    build_s: float = 0.0
    """Duration of building an engine."""
    builds_in_server: bool = True
    """Whether the engine can be built for warps."""
    builds_in_workers: bool = True
    """Whether it can be built in workers."""
    exits_in_workers: bool = False
    """Whether workers exit without a message instead of building their engine."""
    device_names: tuple[str, ...] = ("cpu",)
    """The devices that `auto` selects."""
    broken_devices: tuple[str, ...] = ()
    """Devices whose workers cannot build the engine."""
    missing_devices: tuple[str, ...] = ()
    """Devices on which no process can build the engine."""
    full_devices: tuple[str, ...] = ()
    """Devices without memory for caches."""
    batch: int = 1
    """Number of frames that one call of `warp_batch` takes."""
    rebuilds: bool = True
    """Whether the process that lost a device can use it again; CUDA's sticky errors never end."""
    reclaimed: list[SlotHandle] = field(default_factory=list)
    """Handles that engines of this process have reclaimed."""
    lost: set[str] = field(default_factory=set)
    """Devices that this process has lost (`losing_device`) and not built again."""

    def devices(self, wanted: str) -> tuple[str, ...]:
        """See `EngineFactory`."""
        chosen = self.device_names if wanted == "auto" else tuple(wanted.split(","))
        if unknown := set(chosen) - set(self.device_names):
            raise ValueError(f"device must be one of {self.device_names}, got {sorted(unknown)}")
        return chosen

    def memory(self, device: str) -> DeviceMemory | None:
        """See `EngineFactory`."""
        self.check(device)
        return None if device == "cpu" else DeviceMemory(used=3 << 30, total=80 << 30)

    def check(self, device: str) -> None:
        """Raise what CUDA raises, from every call, once a device is lost."""
        if device in self.lost:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def build(self, device: str, threads: int, purpose: Purpose) -> FakeEngine:
        """See `EngineFactory`."""
        time.sleep(self.build_s)
        in_worker = purpose == "refresh"
        if in_worker and self.exits_in_workers:
            os._exit(3)
        if self.rebuilds:
            self.lost.discard(device)
        self.check(device)
        if device in self.missing_devices:
            raise RuntimeError(f"CUDA error: {device} is busy or unavailable")
        broken = device in self.broken_devices
        if not (self.builds_in_workers and not broken if in_worker else self.builds_in_server):
            raise RuntimeError(f"no memory left on {device}")
        return FakeEngine(self, device, purpose)


class FakeEngine:
    """Renders flat greys instead of faces.

    Args:
        settings: Durations and faults.
        device: What it renders on.
        purpose: Whether it is a worker's.
    """

    layout = SlotLayout(
        [ArraySpec("begun", (1,), 4), ArraySpec("size", (1,), 4), ArraySpec("values", (2,), 4)]
    )

    def __init__(
        self, settings: FakeEngineFactory, device: str = "cpu", purpose: Purpose = "warp"
    ) -> None:
        self._settings, self._device, self._purpose = settings, device, purpose
        self._avatars = {avatar.id: avatar for avatar in settings.avatars}

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """See `Engine`."""
        return self._avatars

    def allocate(self, rendition: Rendition) -> FakeMemory:
        """See `Engine`."""
        self.probe()
        if self._device in self._settings.full_devices:
            raise PoolBusyError(f"no memory for 1.0 MB on {self._device}")
        return FakeMemory(SharedBlock.create(self.layout.nbytes), self.layout)

    def attach(self, rendition: Rendition, handle: SlotHandle) -> FakeMemory:
        """See `Engine`."""
        assert isinstance(handle, str)
        return FakeMemory(SharedBlock.attach(handle), self.layout)

    def reclaim(self, handle: SlotHandle) -> None:
        """See `Engine`."""
        self._settings.reclaimed.append(handle)

    def slot_layouts(self, avatar_id: str) -> Mapping[int, SlotLayout] | None:
        """See `Engine`. GPUs allocate their own memory."""
        sizes = (self._avatars[avatar_id].resolution, *FRAME_SIZES)
        return dict.fromkeys(sizes, self.layout) if self._device == CPU else None

    def largest_batch(self, rendition: Rendition) -> int:
        """See `Engine`."""
        return self._settings.batch

    def refresh(self, rendition: Rendition, state: FrameState, slot: Slot) -> None:
        """See `Engine`. Marks the slot as begun first and fills it last, like a real refresh."""
        slot["begun"][0] += 1
        slot["values"][:] = np.nan
        _inject_fault(state)
        time.sleep(self._settings.refresh_s)
        slot["size"][0] = rendition.size
        slot["values"][:] = _encode_state(state)

    def probe(self) -> None:
        """See `Engine`."""
        self._settings.check(self._device)

    def open_fade(self, rendition: Rendition, previous: Fade | None = None) -> Fade:
        """See `Engine`."""
        if previous is None:
            return FakeFade(rendition.size, self._settings.fade_s)
        assert isinstance(previous, FakeFade)
        assert previous.size == rendition.size, "a crossfade is between caches of one size"
        return copy(previous)

    def warp(
        self, rendition: Rendition, state: FrameState, slot: Slot, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """See `Engine`. Over a backdrop see `put_over`.

        Raises:
            AssertionError: If the slot was written during the warp.
        """
        if state.fov_y_rad == FOV_LOSES_DEVICE:
            self._settings.lost.add(self._device)
        self.probe()
        begun, cached = slot["begun"].copy(), slot["values"].copy()
        began = time.perf_counter()
        _inject_fault(state)
        time.sleep(self._settings.warp_s)
        assert not np.isnan(cached).any(), "the slot was being written when the warp began"
        assert slot["begun"][0] == begun[0], "the slot was written while it was read"
        assert slot["size"][0] == rendition.size, "the slot holds a cache of another size"
        nv12 = self._encode_frame(rendition.size, _encode_state(state), cached)
        if backdrop is not None:
            nv12 = put_over(nv12, backdrop)
        return WarpedNv12(nv12, {"raster": 0.0, "warp": (time.perf_counter() - began) * 1e3})

    def warp_batch(
        self, rendition: Rendition, frames: Sequence[tuple[FrameState, Slot]]
    ) -> list[WarpedNv12]:
        """See `Engine`. Takes as long as one warp; one state that fails fails all."""
        for state, _ in frames:
            _inject_fault(state)
        time.sleep(self._settings.warp_s)
        quick = FakeEngine(replace(self._settings, warp_s=0.0), self._device)
        quick._avatars = self._avatars
        return [quick.warp(rendition, state, slot) for state, slot in frames]

    def full(self, avatar_id: str, state: FrameState, size: int | None = None) -> RgbImage:
        """See `Engine`."""
        rgb = self.warp_from(avatar_id, state, state)
        side = size or len(rgb)
        # Of any size, because all pixels of a quarter are alike.
        return rgb[[0, -1]][:, [0, -1]].repeat(side // 2, 0).repeat(side // 2, 1)

    def warp_from(self, avatar_id: str, state: FrameState, cached: FrameState) -> RgbImage:
        """See `Engine`."""
        _inject_fault(state)
        time.sleep(self._settings.full_s)
        size = self._avatars[avatar_id].resolution
        return encode_image(size, _encode_state(state), _encode_state(cached))

    def load(self, folder: Path) -> FakeLoaded:
        """See `Engine`. Reads `id`, `resolution` and a fault from the folder's manifest."""
        values = json.loads((folder / "manifest.json").read_text())
        time.sleep(values.get("load_s", 0))
        in_worker = self._purpose == "refresh"
        if in_worker and values.get("exits_in_workers"):
            os._exit(3)
        if values.get("fails") or (in_worker and values.get("fails_in_workers")):
            raise RenderError("this avatar was made to fail")
        avatar = fake_avatar(values["id"], values.get("resolution", 64))
        subject = values.get("subject")
        return FakeLoaded(replace(avatar, subject=subject and Subject(**subject)))

    def add(self, loaded: LoadedAvatar) -> None:
        """See `Engine`."""
        self._avatars[loaded.info.id] = loaded.info

    def remove(self, avatar_id: str) -> None:
        """See `Engine`."""
        self._avatars.pop(avatar_id, None)

    def _encode_frame(self, size: int, values: Numbers, cached: Numbers) -> Nv12Image:
        """Return the image of a frame."""
        return encode_frame(size, values, cached)


def _encode_state(state: FrameState) -> NDArray[np.float32]:
    """Return (2,) in 0..1: `jawOpen`, and the x coordinate of the eye, mapped from -1..1 m."""
    eye_x = float(state.eye_position[0])
    return np.array([state.expression[JAW_OPEN], (eye_x + 1) / 2], np.float32)


def _inject_fault(state: FrameState) -> None:
    """Trigger the fault of a state, if it has one."""
    if state.fov_y_rad == FOV_FAILS:
        raise RenderError("this state was made to fail")
    if state.fov_y_rad == FOV_EXHAUSTS:
        np.zeros(1 << 60, np.uint8)
    if state.fov_y_rad == FOV_BREAKS:
        raise RuntimeError("this state was made to break the engine")
    while state.fov_y_rad == FOV_HANGS:
        time.sleep(0.05)
