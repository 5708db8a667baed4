"""Whole frames of the CUDA kernels, in Triton's interpreter, against torch and numba."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar.folder import Avatar, load_avatar
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.head import HeadError
from models.kernels.nv12 import rgb_to_nv12
from models.runtime import telewarp_cuda, telewarp_torch
from models.runtime.build_runtime import gpu_runtime
from models.runtime.crossfade import Crossfade
from models.runtime.deferred_crossfade import DeferredCrossfade
from models.runtime.renderer import CachedRenderer
from models.runtime.telewarp_cpu import TelewarpCpuRuntime
from models.runtime.telewarp_cuda import KernelError, TelewarpCudaRuntime
from models.runtime.telewarp_torch import TelewarpTorchRuntime

Build = Callable[..., Avatar]
CPU = torch.device("cpu")
DEFAULT = Path(__file__).resolve().parents[3] / "models/avatars/default"


@pytest.fixture(autouse=True)
def float32() -> Iterator[None]:
    """Run networks in float32: the interpreter cannot multiply bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telewarp_torch, "network_dtype", lambda device: torch.float32)
        yield


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    levels: np.ndarray = np.abs(one.astype(int) - other.astype(int))
    return levels


def new_cache(runtime: TelewarpTorchRuntime) -> dict[str, torch.Tensor]:
    return {spec.name: torch.zeros(spec.shape, dtype=spec.dtype) for spec in runtime.layout}


def test_a_batch_of_frames_of_different_caches_equals_plain_torch(
    build_avatar: Build, front: FrameState, turned: FrameState
) -> None:
    avatar = build_avatar("live", 0.25)
    kernels, plain = TelewarpCudaRuntime(avatar, CPU), TelewarpTorchRuntime(avatar, CPU)
    caches = [new_cache(plain), new_cache(plain)]
    plain.refresh(front, caches[0])
    plain.refresh(turned, caches[1])
    own = replace(front, vertices=avatar.head.shape(turned.expression))
    states = [turned, own, front]
    frames = list(zip(states, [caches[0], caches[1], caches[1]], strict=True))
    made = kernels.warp_nv12_batch(frames)
    expected = [plain.warp(*frame).rgb for frame in frames]
    for got, wanted in zip(made, expected, strict=True):
        # The reference implementation blends shapes with fused multiplications: some vertices snap
        # differently.
        error = difference(got.nv12, rgb_to_nv12(torch.from_numpy(wanted)).numpy())
        assert (error > 1).mean() < 0.005
        assert error.mean() < 0.05
    assert difference(expected[1], expected[2]).mean() > 1
    with pytest.raises(HeadError, match="expression must be"):
        kernels.warp(replace(front, expression=np.zeros(3, np.float32)), caches[0])
    again = kernels.warp_nv12_batch(frames[:2])  # in a smaller batch than before
    np.testing.assert_array_equal(again[1].nv12, made[1].nv12)


def test_a_deferred_crossfade_equals_one_in_memory(
    build_avatar: Build, front: FrameState, turned: FrameState
) -> None:
    avatar = build_avatar("live", 0.25)
    kernels, plain = TelewarpCudaRuntime(avatar, CPU), TelewarpTorchRuntime(avatar, CPU)
    deferred = DeferredCrossfade(new_cache(plain), new_cache(plain), kernels)
    in_memory = Crossfade(new_cache(plain), plain)
    cache = new_cache(plain)
    own = replace(turned, vertices=avatar.head.shape(turned.expression))
    for generation, (cached, now_s) in enumerate([(front, 0.0), (turned, 0.5), (front, 0.58)]):
        plain.refresh(cached, cache)
        mixed = deferred.follow(cache, generation, now_s)
        blended = in_memory.follow(cache, generation, now_s)
    assert deferred.fading
    got, expected = kernels.warp(own, mixed).rgb, plain.warp(own, blended).rgb
    assert difference(got, expected).max() <= 1
    assert difference(expected, plain.warp(own, cache).rgb).mean() > 1


def test_frames_of_another_size_equal_plain_torch(
    build_avatar: Build, front: FrameState, turned: FrameState
) -> None:
    avatar = build_avatar("live", 0.25)
    kernels = TelewarpCudaRuntime(avatar, CPU).resized(32)
    plain = TelewarpTorchRuntime(avatar, CPU).resized(32)
    cache = new_cache(plain)
    plain.refresh(front, cache)
    got, expected = kernels.warp(turned, cache).rgb, plain.warp(turned, cache).rgb
    assert got.shape == (32, 32, 3)
    # The kernels blend with the background in 8 bits, which has been interpolated to this size.
    assert (difference(got, expected) > 1).mean() < 0.005
    assert expected.std() > 10


def test_a_frame_of_the_shipped_avatar_equals_that_of_the_cpu() -> None:
    avatar = load_avatar(DEFAULT)
    m = avatar.manifest
    front = neutral_state(len(m.expression_names), m.eye_position, m.fov_y_rad)
    expression = front.expression.copy()
    expression[m.expression_names.index("jawOpen")] = 0.4
    expression[m.expression_names.index("eyeLookDownLeft")] = 0.3
    turned = replace(
        front,
        expression=expression,
        head_rotation=np.array([0.02, 0.125, 0.01, 0.99], np.float32),
        head_translation=np.array([0.01, 0.005, 0.02], np.float32),
    )
    cpu = TelewarpCpuRuntime(avatar, 1)
    cache = new_cache(cpu)
    cpu.refresh(front, cache)
    expected = cpu.warp(turned, cache).rgb
    got = TelewarpCudaRuntime(avatar, CPU).warp(turned, cache).rgb
    # All but the pixels at edges of triangles whose vertices snap differently.
    assert (difference(got, expected) > 1).mean() < 0.001
    assert difference(got, expected).mean() < 0.02
    assert difference(expected, cpu.warp(front, cache).rgb).mean() > 2


def test_kernels_that_render_like_torch_are_used(build_avatar: Build) -> None:
    avatar = build_avatar("live")
    renderer = CachedRenderer(avatar)
    assert type(renderer.crossfade()) is Crossfade
    renderer._runtime = gpu_runtime(avatar, CPU, "auto")
    assert isinstance(renderer._runtime, TelewarpCudaRuntime)
    assert isinstance(renderer.crossfade(), DeferredCrossfade)


def test_kernels_that_render_differently_are_not_used_and_logged(
    build_avatar: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = telewarp_cuda.live_model
    monkeypatch.setattr(
        telewarp_cuda, "live_model", lambda runtime: wrong(runtime)._replace(offset=3.0)
    )
    avatar = build_avatar("live")
    with caplog.at_level(logging.WARNING):
        runtime = gpu_runtime(avatar, CPU, "auto")
    assert type(runtime) is TelewarpTorchRuntime
    assert "plain torch warps on cpu: KernelError: expected images within 0.5 levels" in caplog.text
    with pytest.raises(KernelError, match="on average"):
        gpu_runtime(avatar, CPU, "triton")


def test_plain_torch_can_be_selected(build_avatar: Build) -> None:
    assert type(gpu_runtime(build_avatar("live"), CPU, "torch")) is TelewarpTorchRuntime


def test_the_choice_of_kernels_has_no_effect_on_a_cpu(build_avatar: Build) -> None:
    renderer = CachedRenderer(build_avatar("live"), "cpu", kernels="triton")
    assert isinstance(renderer._runtime, TelewarpCpuRuntime)
