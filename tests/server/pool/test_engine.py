"""The real engine over an avatar with untrained networks: slots, processes, refusals."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.avatar.folder import SHIPPED, Avatar, save_avatar
from models.avatar.manifest import AvatarError, Manifest
from models.contract.backdrop import TRANSPARENT
from models.contract.frame_state import FrameState
from models.contract.images import layered_rows
from models.contract.rendition import Rendition
from models.geometry.head_file import load_head
from models.kernels.nv12_numba import convert_to_nv12
from models.networks.avatar_networks import NetworkConfig, build_networks
from models.runtime.crossfade import FADE_S
from server.errors import RenderError
from server.pool.engine import ModelEngine, find_gpus, sleep_until_done
from server.pool.engine_factory import ModelEngineFactory, choose_devices, find_gpus_in_subprocess
from server.pool.fake import always
from server.pool.frame_maker import REUSE_WINDOW_S
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings, WarpPlace
from tests.conftest import ROOT
from tests.server.pool.test_pool import warp

SIZE = 64
RENDITION = Rendition("tiny", SIZE)


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder with one small avatar, `tiny`."""
    folder = tmp_path_factory.mktemp("avatars") / "tiny"
    folder.mkdir()
    shutil.copy(SHIPPED / "default" / "head.npz", folder)
    head = load_head(folder / "head.npz")
    torch.manual_seed(0)
    network = NetworkConfig(network_size=0.125, texture_size=64, feature_size=32, texture_levels=1)
    manifest = Manifest(
        id="tiny",
        name="Tiny",
        resolution=SIZE,
        expression_names=head.expression_names,
        vertex_count=len(head.neutral),
        triangle_count=len(head.faces),
        eye_position=(0.0, 0.0, 0.78),
        fov_y_rad=0.43,
        licence="CC0-1.0",
        origin="untrained",
        network=network,
    )
    background = np.full((SIZE, SIZE, 3), 90, np.uint8)
    save_avatar(folder, Avatar(manifest, head, build_networks(network), background))
    return folder.parent


@pytest.fixture(scope="module")
def engine(avatars: Path) -> ModelEngine:
    return ModelEngineFactory(avatars).build("cpu", 1, "warp")


def state(yaw: float = 0.0) -> FrameState:
    return FrameState(
        head_rotation=np.array([0, np.sin(yaw / 2), 0, np.cos(yaw / 2)], np.float32),
        head_translation=np.zeros(3, np.float32),
        expression=np.zeros(52, np.float32),
        vertices=None,
        eye_rotation=np.array([0, 0, 0, 1], np.float32),
        eye_position=np.array([0, 0, 0.78], np.float32),
        fov_y_rad=0.43,
    )


def test_the_engine_reports_the_manifest(engine: ModelEngine) -> None:
    avatar = engine.avatars["tiny"]
    assert (avatar.name, avatar.resolution, avatar.licence) == ("Tiny", SIZE, "CC0-1.0")
    assert len(avatar.expression_names) == 52
    assert avatar.eye_position == (0.0, 0.0, 0.78)


def test_a_cache_made_through_one_mapping_is_warped_through_another(engine: ModelEngine) -> None:
    ours = engine.allocate(RENDITION)
    theirs = engine.attach(RENDITION, ours.handle)
    engine.refresh(RENDITION, state(0.3), theirs.slot(2))
    image = engine.warp(RENDITION, state(0.0), ours.slot(2))
    expected = engine.warp_from("tiny", state(0.0), state(0.3))
    assert np.array_equal(image.nv12, convert_to_nv12(expected))
    clear = engine.warp(RENDITION, state(0.0), ours.slot(2), TRANSPARENT)
    assert clear.nv12.shape == (layered_rows(SIZE) * 3 // 2, SIZE)
    other = engine.warp_from("tiny", state(0.0), state(-0.3))
    assert not np.array_equal(other, expected), "the cache does not affect the warp"
    assert not any(tensor.any() for tensor in ours.slot(1).values())
    theirs.close()
    ours.close()


def test_frames_of_another_size_come_from_slots_of_that_size(engine: ModelEngine) -> None:
    other = Rendition("tiny", 256)
    slots, own = engine.allocate(other), engine.allocate(RENDITION)
    layouts = engine.slot_layouts("tiny")
    assert layouts is not None
    assert layouts[256].nbytes > 8 * layouts[SIZE].nbytes, "16 times the pixels, plus the mesh"
    for rendition, memory in ((other, slots), (RENDITION, own)):
        engine.refresh(rendition, state(0.3), memory.slot(0))
        image = engine.warp(rendition, state(0.3), memory.slot(0)).nv12
        assert image.shape == (rendition.size * 3 // 2, rendition.size)
        # The same face: compare the mean luma of the quarters.
        luma = image[: rendition.size].reshape(2, rendition.size // 2, 2, -1).mean((1, 3))
        if rendition is other:
            larger = luma
    np.testing.assert_allclose(luma, larger, atol=3)
    renderers = engine._renderers["tiny"]
    assert 256 in renderers.sizes
    slots.close()
    own.close()
    assert list(renderers.sizes) == [SIZE], "the buffers of a size without slots are not freed"


def test_a_full_render_depends_on_the_state_only(engine: ModelEngine) -> None:
    rgb = engine.full("tiny", state())
    assert rgb.shape == (SIZE, SIZE, 3)
    assert np.array_equal(rgb, engine.full("tiny", state()))
    assert not np.array_equal(rgb, engine.full("tiny", state(0.3)))


def test_a_state_that_does_not_fit_the_head_is_refused(engine: ModelEngine) -> None:
    wrong = replace(state(), vertices=np.zeros((7, 3), np.float32))
    with pytest.raises(RenderError, match="7"):
        engine.full("tiny", wrong)


def test_device_names_are_resolved_or_refused(avatars: Path) -> None:
    factory = ModelEngineFactory(avatars)
    assert factory.devices("cpu") == ("cpu",)
    assert factory.devices("cpu, cpu") == ("cpu",)
    with pytest.raises(ValueError, match=r"device must be one of auto, cpu.* here, got 'cuda:99'"):
        factory.devices("cuda:99")
    expected = tuple(f"cuda:{i}" for i in range(torch.cuda.device_count())) or ("cpu",)
    assert factory.devices("auto") == expected


def test_gpus_are_queried_in_another_process_if_there_is_a_driver(tmp_path: Path) -> None:
    assert find_gpus_in_subprocess(tmp_path) == ((), "none was found")
    (tmp_path / "nvidia0").touch()
    assert find_gpus_in_subprocess(tmp_path) == find_gpus()


def pretend_gpus(
    monkeypatch: pytest.MonkeyPatch, count: int, warning: str | None = None, build: str = "13.0"
) -> None:
    """Patch torch and the driver query so that `count` GPUs are reported."""

    def is_available() -> bool:
        if warning is not None:
            warnings.warn(
                f"{warning} (Triggered internally at CUDAFunctions.cpp:119.)", stacklevel=2
            )
        return count > 0 and warning is None

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.version, "cuda", build)


OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
)


def test_gpus_with_a_driver_that_is_too_old_are_not_used_and_the_reason_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_gpus(monkeypatch, 2, OLD_DRIVER)
    found = find_gpus()
    with caplog.at_level(logging.INFO, "server.pool.engine_factory"):
        assert choose_devices("auto", *found) == ("cpu",)
    assert [record.getMessage() for record in caplog.records] == [
        f"no GPU can be used ({OLD_DRIVER}): rendering on the CPU"
    ]
    with pytest.raises(ValueError, match=r"one of auto, cpu here, got 'cuda' \(.*too old"):
        choose_devices("cuda", *found)


def test_all_gpus_are_used_if_the_driver_is_recent_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    found = find_gpus()
    both = ("cuda:0", "cuda:1")
    assert choose_devices("auto", *found) == choose_devices("cuda", *found) == both
    assert choose_devices("cuda:1", *found) == ("cuda:1",)
    with pytest.raises(ValueError, match="auto, cpu, cuda:0, cuda:1 here, got 'cuda:2'"):
        choose_devices("cuda:1,cuda:2", *found)


def test_without_a_gpu_one_log_line_says_that_the_cpu_renders(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_gpus(monkeypatch, 0)
    with caplog.at_level(logging.INFO, "server.pool.engine_factory"):
        assert choose_devices("auto", *find_gpus()) == ("cpu",)
    assert caplog.text.count("no GPU can be used (none was found): rendering on the CPU") == 1


def test_the_cpu_reports_no_device_memory(avatars: Path) -> None:
    assert ModelEngineFactory(avatars).memory("cpu") is None


def test_a_folder_without_avatars_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match=r"must hold at least one avatar: no folder"):
        ModelEngineFactory(tmp_path).build("cpu", 1, "warp")


def damage(path: Path, kind: str) -> None:
    """Damage a file as disk errors, interrupted copies and manual edits do."""
    raw = path.read_bytes()
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "cut short":
            path.write_bytes(raw[: len(raw) // 2])
        case "scribbled on":
            path.write_bytes(raw[:40] + bytes(4000) + raw[4040:])
        case "missing":
            path.unlink()


@pytest.mark.parametrize("kind", ["empty", "cut short", "scribbled on", "missing"])
@pytest.mark.parametrize("file", ["head.npz", "weights.safetensors", "background.png"])
def test_a_broken_avatar_is_skipped(
    avatars: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, kind: str
) -> None:
    shutil.copytree(avatars / "tiny", tmp_path / "broken")
    damage(tmp_path / "broken" / file, kind)
    with pytest.raises(AvatarError, match=f"at least one avatar: .*{file}"):
        ModelEngineFactory(tmp_path).build("cpu", 1, "warp")
    shutil.copytree(avatars / "tiny", tmp_path / "tiny")
    assert set(ModelEngineFactory(tmp_path).build("cpu", 1, "warp").avatars) == {"tiny"}
    assert "avatar broken is skipped: " in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": 5},
        {"resolution": 64.0},
        {"fov_y_rad": 0},
        {"fov_y_rad": "wide"},
        {"eye_position": [0, 0, float("inf")]},
        {"expression_names": ["jawOpen"]},
        {"format": 99},
        {"colour": "red"},
        {"vertex_count": 3},
    ],
)
def test_an_invalid_manifest_is_refused_with_the_reason(
    avatars: Path, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    shutil.copytree(avatars / "tiny", tmp_path / "tiny")
    manifest = tmp_path / "tiny" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | wrong))
    with pytest.raises(AvatarError, match=rf"tiny.*(?:{next(iter(wrong))}|vertices|expression)"):
        ModelEngineFactory(tmp_path).build("cpu", 1, "warp")


def test_of_two_avatars_with_one_id_the_first_is_used(
    avatars: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        shutil.copytree(avatars / "tiny", tmp_path / name)
    assert set(ModelEngineFactory(tmp_path).build("cpu", 1, "warp").avatars) == {"tiny"}
    assert "avatar b is skipped: " in caplog.text


@asynccontextmanager
async def running(avatars: Path, warp_in: WarpPlace) -> AsyncIterator[RenderPool]:
    settings = PoolSettings(devices="cpu", workers=1, threads=1, warp_in=warp_in)
    pool = RenderPool(settings, ModelEngineFactory(avatars))
    await pool.start()
    try:
        await pool.wait_ready(60)
        yield pool
    finally:
        await pool.close()


@pytest.mark.parametrize("warp_in", ["thread", "process"])
async def test_both_backends_warp_caches_of_real_workers_to_identical_bits(
    avatars: Path, engine: ModelEngine, warp_in: WarpPlace
) -> None:
    async with running(avatars, warp_in) as pool:
        slots = pool.open_slots("tiny")
        swapped = asyncio.Event()
        slots.on_ready.append(swapped.set)
        slots.request(always(state(0.2)))
        await asyncio.wait_for(swapped.wait(), 20)
        frame = await warp(pool, slots, state(0.1))
        assert frame is not None
        expected = engine.warp_from("tiny", state(0.1), state(0.2))
        assert np.array_equal(frame.nv12, convert_to_nv12(expected))
        full = await pool.render("tiny", state(0.1))
        assert np.array_equal(full, engine.full("tiny", state(0.1)))
        with pytest.raises(RenderError):
            await pool.render("tiny", replace(state(), vertices=np.zeros((7, 3), np.float32)))


_SERVER_PROCESS = """
import asyncio, os, signal, sys
from pathlib import Path
from server.pool.engine_factory import ModelEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings

async def main(avatars):
    settings = PoolSettings(devices="cpu", workers=1, threads=1, warp_in="process")
    pool = RenderPool(settings, ModelEngineFactory(avatars))
    await pool.start()
    device, = pool._devices.all
    os.kill(device._backend.pid, signal.SIGKILL)
    while device.working:
        await asyncio.sleep(0.01)
    while not device.working:
        await asyncio.sleep(0.01)
    print(*({"torch", "numba", "triton"} & sys.modules.keys()))
    await pool.close()

if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_server_that_warps_in_a_process_never_loads_torch_even_after_that_process_is_killed(
    avatars: Path, tmp_path: Path
) -> None:
    script = tmp_path / "server_process.py"
    script.write_text(_SERVER_PROCESS)
    done = subprocess.run(
        [sys.executable, script, avatars],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("warp_in", ["thread", "process"])
async def test_a_new_cache_is_crossfaded_in(
    avatars: Path, engine: ModelEngine, warp_in: WarpPlace
) -> None:
    async with running(avatars, warp_in) as pool:
        slots = pool.open_slots("tiny")
        swapped = asyncio.Event()
        slots.on_ready.append(swapped.set)
        images = []
        for yaw in (0.3, -0.3):
            swapped.clear()
            slots.request(always(state(yaw)))
            await asyncio.wait_for(swapped.wait(), 20)
            # Until then the image before may be shown again, and so small a cache takes less.
            await asyncio.sleep(REUSE_WINDOW_S)
            frame = await warp(pool, slots, state())
            assert frame is not None
            images.append(frame.nv12)
        assert frame is not None
        assert frame.fading
        before, after = (
            convert_to_nv12(engine.warp_from("tiny", state(), state(yaw))) for yaw in (0.3, -0.3)
        )
        assert np.array_equal(images[0], before)
        assert not np.array_equal(images[1], before)
        assert not np.array_equal(images[1], after)
        await asyncio.sleep(FADE_S)
        last = await warp(pool, slots, state())
        assert last is not None
        assert not last.fading
        assert np.array_equal(last.nv12, after)


def test_the_wait_for_a_refresh_on_a_gpu_blocks_without_spinning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    class Event:
        def __init__(self, *, blocking: bool) -> None:
            calls.append("blocking" if blocking else "spinning")

        def record(self, stream: str) -> None:
            calls.append(f"recorded in {stream}")

        def synchronize(self) -> None:
            calls.append("done")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the stream of {device}")
    sleep_until_done(torch.device("cuda:1"))
    assert calls == ["blocking", "recorded in the stream of cuda:1", "done"]
