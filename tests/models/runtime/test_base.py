"""The precision that networks run in."""

from __future__ import annotations

import pytest
import torch

from models.runtime.base import network_dtype


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 0), torch.float16), ((7, 5), torch.float16), ((8, 0), torch.bfloat16)],
)
def test_bfloat16_is_not_used_where_a_gpu_emulates_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert network_dtype(torch.device("cuda:1")) == expected
