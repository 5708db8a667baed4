"""Stand-ins for Pillow and safetensors, for machines that have torch, Triton and numba only.

They read no more than an avatar's files: weights exactly; the background as a flat grey, since it
is only painted behind the head, on both sides of every comparison. Nothing is drawn: the checks use
a pool that marks no frames.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

_GREY = 90
_DTYPES = {"F16": torch.float16, "F32": torch.float32, "BF16": torch.bfloat16}


def provide_missing_packages() -> list[str]:
    """Put stand-ins where a package is missing; return their names."""
    provided = []
    if find_spec("safetensors") is None:
        _provide("safetensors", SafetensorError=ValueError)
        _provide("safetensors.torch", load_file=load_weights, save_file=None)
        provided.append("safetensors")
    if find_spec("PIL") is None:
        image = SimpleNamespace(open=_open_image, Resampling=SimpleNamespace(LANCZOS=None))
        _provide(
            "PIL", Image=image, ImageDraw=None, ImageFont=None, UnidentifiedImageError=ValueError
        )
        provided.append("PIL")
    return provided


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file: the length of a JSON header, the header, the tensors' bytes."""
    raw = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(raw[:8], "little")
    header: dict[str, Any] = json.loads(raw[8:begin])
    header.pop("__metadata__", None)
    return {name: _tensor(raw, begin, entry) for name, entry in header.items()}


def _tensor(raw: bytearray, begin: int, entry: dict[str, Any]) -> Tensor:
    first, end = entry["data_offsets"]
    dtype = _DTYPES[entry["dtype"]]
    values = torch.frombuffer(
        raw, dtype=dtype, offset=begin + first, count=(end - first) // dtype.itemsize
    )
    return values.reshape(entry["shape"]).clone()


def _open_image(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(path)
    return nullcontext(
        SimpleNamespace(
            convert=lambda mode: SimpleNamespace(
                resize=lambda size, resampling: np.full((size[1], size[0], 3), _GREY, np.uint8)
            )
        )
    )


def _provide(name: str, **content: object) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module
