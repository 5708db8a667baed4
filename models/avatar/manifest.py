"""An avatar's `manifest.json`: its public description and its network configuration."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from models.contract.avatar_info import AvatarInfo
from models.networks.avatar_networks import NetworkConfig
from models.networks.generator import STRIDE

FORMAT = 1
"""Raised when folders of older programs can no longer be read."""

_LATER_FIELDS = {"expression_range"}
"""That manifests of this format may lack."""


class AvatarError(ValueError):
    """An avatar folder is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(AvatarInfo):
    """An avatar's description and how its networks are built. Stored as `manifest.json`."""

    network: NetworkConfig
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def load_manifest(folder: Path) -> Manifest:
    """Load an avatar's manifest alone.

    Raises:
        AvatarError: If it is missing or not a manifest of this format.
    """
    path = folder / "manifest.json"
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise AvatarError(f"{path} is not a readable manifest: {exc}") from exc
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise AvatarError(f"{path} must be a manifest of format {FORMAT}")
    known = {field.name for field in fields(Manifest)}
    wrong = sorted({*set(values) - known, *known - set(values) - _LATER_FIELDS})
    if wrong:
        raise AvatarError(f"{path}: missing or unknown fields: {', '.join(wrong)}")
    try:
        return _manifest(values)
    except (KeyError, TypeError, ValueError) as exc:
        raise AvatarError(f"{path}: {exc}") from exc


def _manifest(values: dict[str, Any]) -> Manifest:
    eye = tuple(float(x) for x in values["eye_position"])
    if len(eye) != 3:
        raise ValueError(f"eye_position must be 3 numbers, got {len(eye)}")
    manifest = Manifest(
        **{
            **values,
            "expression_names": tuple(str(name) for name in values["expression_names"]),
            "eye_position": eye,
            "network": _network(values["network"]),
            "expression_range": _range(values.get("expression_range", (0.0, 1.0))),
        }
    )
    _check_values(manifest)
    if manifest.network.expressions != len(manifest.expression_names):
        raise ValueError(
            f"{len(manifest.expression_names)} expression names, but networks for "
            f"{manifest.network.expressions}"
        )
    return manifest


def _check_values(manifest: Manifest) -> None:
    """What a hand could have written wrong, and would be found out only by a viewer."""
    for name in ("id", "name", "licence", "origin"):
        if not isinstance(getattr(manifest, name), str):
            raise ValueError(f"{name} must be a text, got {getattr(manifest, name)!r}")
    resolution = manifest.resolution
    if not isinstance(resolution, int) or resolution <= 0 or resolution % STRIDE:
        raise ValueError(f"resolution must be a multiple of {STRIDE}, got {resolution!r}")
    fov = manifest.fov_y_rad
    if not isinstance(fov, int | float) or not 0 < fov < math.pi:
        raise ValueError(f"fov_y_rad must be between 0 and pi, got {fov!r}")
    if not all(map(math.isfinite, manifest.eye_position)):
        raise ValueError(f"eye_position must be finite, got {manifest.eye_position}")


def _network(values: dict[str, Any]) -> NetworkConfig:
    return NetworkConfig(**{**values, "live_inputs": tuple(values["live_inputs"])})


def _range(values: Any) -> tuple[float, float]:
    low, high = (float(value) for value in values)
    if not low < high:
        raise ValueError(f"expression_range must rise, got {low:g}..{high:g}")
    return low, high
