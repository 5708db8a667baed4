"""An avatar folder: manifest, head, weights and background; load, save, validate.

manifest.json        what it is (`Manifest`), readable by people
head.npz             geometry (`geometry/head.py`)
weights.safetensors  neural texture, generator and warp
background.png       what the head stands in front of
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.avatar.manifest import AvatarError, Manifest, load_manifest
from models.geometry.flame import is_flame
from models.geometry.head import Head, HeadError, load_head
from models.networks.avatar_networks import (
    FlamePaperNetworks,
    NetworkConfig,
    PaperNetworks,
    TelewarpNetworks,
    build_networks,
)
from models.networks.texture import LEVELS

SHIPPED = Path(__file__).parents[1] / "avatars"
"""The folder of avatars that come with the project."""


@dataclass(frozen=True, slots=True, eq=False)
class Avatar:
    """A loaded avatar."""

    manifest: Manifest
    head: Head
    networks: TelewarpNetworks | PaperNetworks
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
    if isinstance(networks, TelewarpNetworks):
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


def _load_networks(folder: Path, config: NetworkConfig) -> TelewarpNetworks | PaperNetworks:
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
