"""Several processes training one set of networks, each with its share of every batch.

`torchrun --nproc-per-node 2 -- scripts/train.py ...` starts them (without the two dashes it would
take `--run` for its own). On CUDA they talk by NCCL, else by Gloo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from models.data.processes import ALONE, Processes


@contextmanager
def joined(device: str) -> Iterator[tuple[Processes, str]]:
    """Join the other processes that torchrun started, if it did.

    Args:
        device: `cpu`, `cuda`, ...

    Yields:
        The processes, and this one's device: each process of a host has a GPU of its own.
    """
    if "RANK" not in os.environ:
        yield ALONE, device
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()


def broadcast_from_first(value: float, processes: Processes, device: torch.device) -> float:
    """The first process' value, in all of them."""
    if processes.total == 1:
        return value
    told = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(told, src=0)
    return told.item()
