"""The precision that training runs in."""

from __future__ import annotations

import pytest
import torch

from models.training.objective import autocast


@pytest.mark.parametrize(
    ("instructions", "mixed_precision", "expected"),
    [
        (True, True, torch.bfloat16),
        (False, True, torch.float32),
        (True, False, torch.float32),
    ],
)
def test_training_uses_bfloat16_only_where_the_cpu_does_not_emulate_it(
    monkeypatch: pytest.MonkeyPatch,
    instructions: bool,
    mixed_precision: bool,
    expected: torch.dtype,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    ones = torch.ones(2, 2)
    with autocast(torch.device("cpu"), mixed_precision):
        assert (ones @ ones).dtype == expected
