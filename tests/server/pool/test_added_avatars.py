"""Avatars that are added to a running pool and removed from it, with real processes."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.errors import AvatarExistsError, AvatarNotFoundError, RenderError
from server.pool.engine_factory import ModelEngineFactory
from server.pool.fake import (
    FakeEngineFactory,
    decode_frame,
    decode_image,
    fake_state,
    losing_device,
)
from server.pool.pool import RenderPool
from server.pool.supervisor import Timeouts
from tests.server.pool.test_devices import GPUS
from tests.server.pool.test_devices import running as running_devices
from tests.server.pool.test_engine import avatars, state
from tests.server.pool.test_pool import pid, refreshed, running, until, warp

__all__ = ["avatars"]


def folder_of(tmp_path: Path, avatar_id: str, **values: Any) -> Path:
    """Write the folder of an avatar for the fake engine."""
    folder = tmp_path / f"folder-of-{avatar_id}"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"id": avatar_id, **values}))
    return folder


async def shown(pool: RenderPool, avatar_id: str) -> float:
    """Return the value that the fake engine draws into a full render of an avatar."""
    return decode_image(await pool.render(avatar_id, fake_state(0.5))).jaw_open


async def test_an_added_avatar_is_rendered_by_running_workers(tmp_path: Path) -> None:
    async with running(workers=2) as pool:
        await until(lambda: all(worker.ready for worker in pool.status().workers))
        known, before = pool.avatars, pid(pool)
        info = await pool.add_avatar(folder_of(tmp_path, "me", resolution=96))
        assert (info.id, list(known)) == ("me", ["default", "me"])
        for _ in range(4):  # by each of the two workers
            image = await pool.render("me", fake_state(0.5))
            assert image.shape == (96, 96, 3), "larger than all previous images"
        slots = pool.open_slots("me")
        await refreshed(slots, 0.25)
        frame = await warp(pool, slots, fake_state(0.5))
        assert frame is not None
        assert decode_frame(frame.nv12).cached_jaw_open == pytest.approx(0.25, abs=0.01)
        slots.close()
        assert pid(pool) == before


@pytest.mark.alone  # bounds a number of frames
async def test_viewers_get_frames_while_an_avatar_is_loaded(tmp_path: Path) -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.25)
        adding = asyncio.create_task(pool.add_avatar(folder_of(tmp_path, "me", load_s=0.3)))
        frames = 0
        while not adding.done():
            assert await warp(pool, slots, fake_state(0.5)) is not None
            frames += 1
            await asyncio.sleep(0.01)
        assert frames > 20
        slots.close()


async def test_a_new_process_loads_added_avatars_before_it_refreshes(tmp_path: Path) -> None:
    async with running(timeouts=Timeouts(stable_s=0)) as pool:
        await pool.add_avatar(folder_of(tmp_path, "me"))
        slots = pool.open_slots("me")
        await refreshed(slots, 0.25)
        os.kill(pid(pool), signal.SIGKILL)
        await refreshed(slots, 0.75)
        assert slots.failed_refreshes == 0
        assert await shown(pool, "me") == pytest.approx(0.5, abs=0.01)
        slots.close()


async def test_a_device_that_failed_when_an_avatar_was_added_loads_it_when_it_is_replaced(
    tmp_path: Path,
) -> None:
    factory = FakeEngineFactory(device_names=GPUS, rebuilds=False)
    async with running_devices(factory) as pool:
        failed = pool.open_slots("default")
        await refreshed(failed, 0.5)
        await warp(pool, failed, losing_device(fake_state()))
        await until(lambda: not pool.status().devices[0].working)
        await pool.add_avatar(folder_of(tmp_path, "me"))
        factory.lost.clear()
        await until(lambda: pool.status().devices[0].working)
        slots = [pool.open_slots("me") for _ in GPUS]
        assert {opened.device for opened in slots} == set(GPUS)
        for opened in slots:
            await refreshed(opened, 0.25)
            assert await warp(pool, opened, fake_state()) is not None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("fails", "made to fail"),
        ("fails_in_workers", "made to fail"),
        ("exits_in_workers", "a render process died while it loaded"),
    ],
)
async def test_an_avatar_that_cannot_be_loaded_is_left_out(
    tmp_path: Path, fault: str, reason: str
) -> None:
    async with running() as pool:
        with pytest.raises(RenderError, match=reason):
            await pool.add_avatar(folder_of(tmp_path, "me", **{fault: True}))
        assert list(pool.avatars) == ["default"]
        await pool.wait_ready(20)
        assert await shown(pool, "default") == pytest.approx(0.5, abs=0.01)
        with pytest.raises(AvatarNotFoundError):
            pool.open_slots("me")


async def test_a_removed_avatar_is_unloaded_and_its_id_is_free(tmp_path: Path) -> None:
    async with running() as pool:
        await pool.add_avatar(folder_of(tmp_path, "me"))
        slots = pool.open_slots("me")
        in_use: list[bool] = []
        removal = pool.remove_avatar("me", lambda: in_use.append("me" in pool.avatars))
        removing = asyncio.create_task(removal)
        await asyncio.sleep(0.05)
        assert "me" not in pool.avatars
        assert not removing.done(), "a session still shows it"
        assert in_use == [False]
        slots.close()
        await asyncio.wait_for(removing, 5)
        with pytest.raises(AvatarNotFoundError):
            await pool.render("me", fake_state(0.5))
        other = tmp_path / "other"
        other.mkdir()
        await pool.add_avatar(folder_of(other, "me", resolution=32))
        assert (await pool.render("me", fake_state(0.5))).shape == (32, 32, 3)


async def test_an_id_can_be_added_once_and_avatars_loaded_at_start_cannot_be_removed(
    tmp_path: Path,
) -> None:
    async with running(FakeEngineFactory()) as pool:
        with pytest.raises(AvatarExistsError, match="'default'"):
            await pool.add_avatar(folder_of(tmp_path, "default"))
        with pytest.raises(AvatarNotFoundError):
            await pool.remove_avatar("default", lambda: None)
        assert list(pool.avatars) == ["default"]


def test_the_engine_frees_what_it_has_loaded(avatars: Path, tmp_path: Path) -> None:
    folder = tmp_path / "me"
    shutil.copytree(avatars / "tiny", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "id": "me"}))
    engine = ModelEngineFactory(avatars).build("cpu", 1, "warp")
    loaded = engine.load(folder)
    engine.add(loaded)
    assert np.array_equal(engine.full("me", state(0.2)), engine.full("tiny", state(0.2)))
    weights = weakref.ref(loaded.renderer)
    del loaded
    engine.remove("me")
    gc.collect()
    assert (weights(), list(engine.avatars)) == (None, ["tiny"])
    (folder / "weights.safetensors").write_bytes(b"broken")
    with pytest.raises(RenderError, match=r"weights\.safetensors is not a readable"):
        engine.load(folder)
