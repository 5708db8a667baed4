"""An avatar folder: manifest, head, weights and background; load, save, validate.

manifest.json        what it is (`Manifest`), readable by people
head.npz             geometry (`geometry/head.py`)
weights.safetensors  neural texture, generator and warp
background.png       what the head stands in front of
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.geometry.flame import is_flame
from models.geometry.head import Head, HeadError, load_head
from models.networks.avatar_networks import (
    FlamePaperNetworks,
    LiveNetworks,
    NetworkConfig,
    PaperNetworks,
    build_networks,
)
from models.networks.generator import STRIDE
from models.networks.texture import LEVELS

SHIPPED = Path(__file__).parents[1] / "avatars"
"""The folder of avatars that come with the project."""

FORMAT = 1
"""Raised when folders of older programs can no longer be read."""

_LATER_FIELDS = {"expression_range"}
"""That manifests of this format may lack."""


class AvatarError(ValueError):
    """An avatar folder is not what it should be."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an avatar is. Stored as `manifest.json`."""

    id: str
    name: str
    resolution: int
    """Rows and columns of its pictures. Our networks look at no more than a pixel's surroundings,
    so this may be changed after training, to any multiple of 32."""
    expression_names: tuple[str, ...]
    """The coefficients of a mesh frame, in order."""
    vertex_count: int
    """V of a mesh frame's `vertices`."""
    triangle_count: int
    eye_position: tuple[float, float, float]
    """Where a viewer's eye starts, metres."""
    fov_y_rad: float
    licence: str
    origin: str
    """Where head and pictures come from, and how it was trained."""
    network: NetworkConfig
    format: int = FORMAT
    expression_range: tuple[float, float] = (0.0, 1.0)
    """Least and greatest value of a coefficient."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Avatar:
    """A loaded avatar."""

    manifest: Manifest
    head: Head
    networks: LiveNetworks | PaperNetworks
    """On the CPU, float32, not to be trained."""
    background: NDArray[np.uint8]
    """(H, W, 3) RGB."""


def load_avatar(folder: Path) -> Avatar:
    """Load and check an avatar.

    Raises:
        AvatarError: If a file is missing or broken, or files contradict each other; the message
            says which and how.
    """
    manifest = load_manifest(folder)
    try:
        head = load_head(folder / "head.npz")
    except HeadError as exc:
        raise AvatarError(str(exc)) from exc
    _check_head(folder, manifest, head)
    background = _load_background(folder / "background.png", manifest.resolution)
    return Avatar(manifest, head, _load_networks(folder, manifest.network), background)


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


def save_avatar(folder: Path, avatar: Avatar) -> None:
    """Write an avatar folder; its `head.npz` must be there already (see `scripts/bake_head.py`).

    Weights are stored in half precision, the pyramids of our networks' textures added up into one
    level; those that are told FLAME's numbers, as the published ones, keep all their digits. Every
    file is replaced as a whole, so that a reader never sees half of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    networks = avatar.networks
    exact = isinstance(networks, FlamePaperNetworks)
    weights = networks.state_dict()
    state = {name: value if exact else value.half() for name, value in weights.items()}
    network = networks.config
    if isinstance(networks, LiveNetworks):
        state = {name: v for name, v in state.items() if LEVELS not in name}
        with torch.no_grad():
            state["features.levels.0"] = networks.features.texels().half()
            state["paint.levels.0"] = networks.paint.texels().half()
        network = replace(network, texture_levels=1)
    manifest = replace(avatar.manifest, network=network)

    part = folder / "weights.safetensors.part"
    save_file({name: value.contiguous() for name, value in state.items()}, part)
    part.replace(folder / "weights.safetensors")
    picture = folder / "background.png.part"
    Image.fromarray(avatar.background).save(picture, format="png")
    picture.replace(folder / "background.png")
    text = folder / "manifest.json.part"
    text.write_text(json.dumps(manifest.to_json(), indent=1) + "\n")
    text.replace(folder / "manifest.json")


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


def _check_head(folder: Path, manifest: Manifest, head: Head) -> None:
    for what, expected, got in (
        ("vertices", manifest.vertex_count, len(head.neutral)),
        ("triangles", manifest.triangle_count, len(head.faces)),
        ("expression names", manifest.expression_names, head.expression_names),
    ):
        if expected != got:
            raise AvatarError(f"{folder}: the manifest has {what} {expected}, head.npz {got}")
    if manifest.network.numbers == "flame" and not is_flame(head):
        raise AvatarError(f"{folder}: the networks need a FLAME head, and head.npz holds another")


def _load_background(path: Path, size: int) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as file:
            picture = np.array(file.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    except (OSError, UnidentifiedImageError) as exc:
        raise AvatarError(f"{path} is not a readable picture: {exc}") from exc
    return picture


def _load_networks(folder: Path, config: NetworkConfig) -> LiveNetworks | PaperNetworks:
    path = folder / "weights.safetensors"
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as exc:
        raise AvatarError(f"{path} is not a readable weights file: {exc}") from exc
    try:
        networks = build_networks(config)
        networks.load_state_dict({name: value.float() for name, value in state.items()})
    except (RuntimeError, TypeError, ValueError) as exc:
        raise AvatarError(f"{path} does not fit the manifest's networks: {exc}") from exc
    if not all(torch.isfinite(value).all() for value in networks.state_dict().values()):
        raise AvatarError(f"{path} has weights that are not finite")
    return networks.eval().requires_grad_(False)
