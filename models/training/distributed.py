"""Distributed training: several processes train the same networks and share each batch.

`torchrun --nproc-per-node 2 -- scripts/train.py ...` starts them; without the two dashes torchrun
would take `--run` as its own option. They communicate by NCCL on CUDA, by Gloo on CPUs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from models.data.processes import ALONE, Processes


@contextmanager
def join_processes(device: str) -> Iterator[tuple[Processes, str]]:
    """Join the process group if torchrun started this process.

    Args:
        device: `cpu`, `cuda`, ...

    Yields:
        Rank and number of processes, and the device of this one: each process of a host uses
        another GPU.
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
    """Return the value of the process of rank 0, in all processes."""
    if processes.total == 1:
        return value
    tensor = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(tensor, src=0)
    return tensor.item()
