"""The check of a GPU's kernels against their references, here in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from models.avatar.folder import Avatar
from models.runtime import telewarp_cuda, telewarp_torch
from models.runtime.kernel_check import compare_kernels

CPU = torch.device("cpu")


def failed(avatar: Avatar, patch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of kernels that differ."""
    # The interpreter cannot multiply bfloat16.
    patch.setattr(telewarp_torch, "network_dtype", lambda device: torch.float32)
    compared = compare_kernels(avatar, CPU)
    assert len(compared) == 12
    return {name for name, comparison in compared.items() if not comparison.passed}


def test_all_kernels_pass_and_a_wrong_one_is_reported(
    build_avatar: Callable[..., Avatar], monkeypatch: pytest.MonkeyPatch
) -> None:
    avatar = build_avatar("live")
    assert failed(avatar, monkeypatch) == set()
    correct = telewarp_cuda.live_model
    monkeypatch.setattr(
        telewarp_cuda, "live_model", lambda plain: correct(plain)._replace(half_trust=9.0)
    )
    assert "trust" in failed(avatar, monkeypatch)
