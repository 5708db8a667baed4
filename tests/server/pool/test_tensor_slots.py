"""Slots on a GPU, as far as they can be tested without one."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import pytest
import torch
from torch.multiprocessing.reductions import rebuild_cuda_tensor

from server.pool.slot_layout import ArraySpec, SlotLayout
from server.pool.tensor_slots import CudaSlots


def test_releasing_a_handle_decrements_its_reference_counter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released: list[Any] = []
    collected: list[None] = []
    monkeypatch.setattr(
        torch.UntypedStorage,
        "_release_ipc_counter",
        lambda *arguments, device: released.append((arguments, device)),
    )
    monkeypatch.setattr(torch.cuda, "ipc_collect", lambda: collected.append(None))
    # The result of `reduce_tensor`, with the name of each argument as its value.
    CudaSlots.reclaim(
        (rebuild_cuda_tensor, tuple(inspect.signature(rebuild_cuda_tensor).parameters))
    )
    assert released == [(("ref_counter_handle", "ref_counter_offset"), "cuda")]
    assert len(collected) == 1


def test_slots_on_a_gpu_that_has_failed_can_be_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    layout = SlotLayout([ArraySpec("values", (4,), 4)])
    whole = torch.zeros(layout.nbytes, dtype=torch.uint8)
    slots = CudaSlots(whole, layout, {"values": torch.float32})
    monkeypatch.setattr(torch.cuda, "ipc_collect", fail)
    with caplog.at_level(logging.WARNING, "server.pool.tensor_slots"):
        slots.close()
    assert "was not returned: CUDA error: an illegal memory access" in caplog.text
