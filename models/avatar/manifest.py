"""An avatar's `manifest.json`: its public description and its network configuration."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from models.contract.avatar_info import AvatarInfo, Subject
from models.contract.images import STRIDE
from models.networks.avatar_networks import NetworkConfig

FORMAT = 1
"""Version of the folder's format, incremented when older folders become unreadable."""

_LATER_FIELDS = {"expression_range", "subject"}
"""Fields that were added to this format later, and may be missing."""


class AvatarError(ValueError):
    """An avatar folder is missing, broken or inconsistent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(AvatarInfo):
    """An avatar's description and how its networks are built. Stored as `manifest.json`."""

    network: NetworkConfig
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Return the fields as values for `json.dumps`."""
        return asdict(self)


def load_manifest(folder: Path) -> Manifest:
    """Load an avatar's manifest without its other files.

    Raises:
        AvatarError: If it is missing, or no valid manifest of this format.
    """
    path = folder / "manifest.json"
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as exc:
        raise AvatarError(f"{path} is not a readable manifest: {exc}") from exc
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise AvatarError(f"{path} must be a manifest of format {FORMAT}")
    known = {field.name for field in fields(Manifest)}
    # Unknown fields are refused too: they are misspelt, or of a newer version with other semantics.
    wrong = sorted({*set(values) - known, *known - set(values) - _LATER_FIELDS})
    if wrong:
        raise AvatarError(f"{path}: missing or unknown fields: {', '.join(wrong)}")
    try:
        return _manifest(values)
    except (KeyError, TypeError, ValueError) as exc:
        raise AvatarError(f"{path}: {exc}") from exc


def _manifest(values: dict[str, Any]) -> Manifest:
    """Build a manifest from JSON values; raise KeyError, TypeError or ValueError if invalid."""
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
            "subject": _subject(values.get("subject")),
        }
    )
    _check_values(manifest)
    if manifest.network.expressions != len(manifest.expression_names):
        raise ValueError(
            f"expected {manifest.network.expressions} expression names as in the networks, got "
            f"{len(manifest.expression_names)}"
        )
    return manifest


def _check_values(manifest: Manifest) -> None:
    """Check values that people edit, so that no broken frames are rendered."""
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
    """Build the network configuration from JSON values."""
    return NetworkConfig(**{**values, "live_inputs": tuple(values["live_inputs"])})


def _range(values: Any) -> tuple[float, float]:
    """Convert and check a range of coefficients."""
    low, high = (float(value) for value in values)
    if not low < high:
        raise ValueError(f"expression_range must rise, got {low:g}..{high:g}")
    return low, high


def _subject(values: Any) -> Subject | None:
    """Check the description of a real person; None for a drawn avatar."""
    if values is None:
        return None
    names = {field.name for field in fields(Subject)}
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError(f"subject must have the fields {', '.join(sorted(names))}, got {values!r}")
    for name in sorted(names):
        if not isinstance(values[name], str) or not values[name].strip():
            raise ValueError(f"subject.{name} must be a text, got {values[name]!r}")
    date.fromisoformat(values["created"])
    return Subject(**values)
