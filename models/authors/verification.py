"""Compare networks with a case: inputs and outputs of the published code.

Cases are npz files of `cached_*` and `current_*` inputs (`uv`, `extrinsics`, `pose`, `expression`,
standardized) and of outputs; see `CASE_ARRAYS`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.geometry.npz import read_npz
from models.networks.avatar_networks import FlamePaperNetworks
from models.networks.frame_batch import FrameBatch
from models.networks.paper import PaperCache

_INPUTS = ("uv", "extrinsics", "pose", "expression")
_OUTPUTS = (
    "texture_features",
    "full_rgb",
    "full_mask",
    "cache",
    "skip_4",
    "skip_5",
    "warp_rgb",
    "warp_mask",
)
CASE_ARRAYS = (*(f"{when}_{name}" for when in ("cached", "current") for name in _INPUTS), *_OUTPUTS)

Errors = dict[str, float]
"""Relative error `norm(ours - theirs) / norm(theirs)` by name of the array."""


class CaseError(ValueError):
    """A case is unreadable or incomplete."""


def load_case(path: Path) -> dict[str, Tensor]:
    """Read a case.

    Raises:
        CaseError: If the file is unreadable or lacks arrays.
    """
    try:
        case = {name: torch.from_numpy(a) for name, a in read_npz(path, CASE_ARRAYS).items()}
    except (OSError, ValueError, TypeError) as exc:
        raise CaseError(f"{path} is not a readable case: {exc}") from exc
    missing = [name for name in CASE_ARRAYS if name not in case]
    if missing:
        raise CaseError(f"{path} lacks {', '.join(missing)}")
    return case


@torch.inference_mode()
def verify(networks: FlamePaperNetworks, case: dict[str, Tensor]) -> dict[str, Errors]:
    """Compute the relative errors of the arrays of a case, of the plain and the split warp.

    The split warp is the one that is served. Each part gets the output of our part before it, so
    errors accumulate as in a frame.

    Returns:
        Errors by form, `plain` or `split`.
    """
    cached, now = (_frame(networks, case, when) for when in ("cached", "current"))
    features = networks.features(cached)
    made = networks.generator(features)
    change = (now.uv - cached.uv).permute(0, 3, 1, 2)
    numbers = (
        networks.split_conditioning(now.conditioning_vector),
        networks.split_conditioning(cached.conditioning_vector),
    )
    plain = networks.warper(made.cache, change, *numbers)
    split = networks.warper.warp(networks.warper.prepare(made.cache), change, *numbers)
    full = {"full_rgb": made.rgb, "full_mask": torch.sigmoid(made.mask_logit)}
    shared = {"texture_features": features, **full, **_cache(made.cache)}
    return {
        form: {name: _error(value, case[name]) for name, value in {**shared, **warped}.items()}
        for form, warped in (("plain", _warped(*plain)), ("split", _warped(*split)))
    }


def _frame(networks: FlamePaperNetworks, case: dict[str, Tensor], when: str) -> FrameBatch:
    """Return the inputs of the cached or current frame."""
    # Conditioning is standardized in the case, but the networks standardize it themselves.
    uv, extrinsics, pose, expression = (case[f"{when}_{name}"] for name in _INPUTS)
    standard = torch.cat([pose, extrinsics, expression], dim=1)
    numbers = standard * networks.numbers_deviation + networks.numbers_mean
    return FrameBatch(uv, uv.new_zeros(0), numbers)


def _cache(cache: PaperCache) -> dict[str, Tensor]:
    return {"cache": cache.features, "skip_4": cache.skip_4, "skip_5": cache.skip_5}


def _warped(rgb: Tensor, mask_logit: Tensor) -> dict[str, Tensor]:
    return {"warp_rgb": rgb, "warp_mask": torch.sigmoid(mask_logit)}


def _error(value: Tensor, expected: Tensor) -> float:
    if value.shape != expected.shape:
        raise CaseError(f"expected an array {tuple(expected.shape)}, got {tuple(value.shape)}")
    return float((value - expected).norm() / expected.norm())
