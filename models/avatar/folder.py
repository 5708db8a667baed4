"""Loads, validates and saves avatar folders.

manifest.json        description and network configuration (`Manifest`)
head.npz             the parametric head (`geometry/head.py`)
weights.safetensors  neural textures, generator and warp
background.png       the image behind the head
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.avatar.manifest import AvatarError, Manifest, load_manifest
from models.contract.images import RgbImage
from models.geometry.flame import is_flame
from models.geometry.head import Head, HeadError
from models.geometry.head_file import load_head
from models.networks.avatar_networks import (
    FlamePaperNetworks,
    NetworkConfig,
    PaperNetworks,
    TelewarpNetworks,
    build_networks,
)
from models.networks.texture import LEVELS

SHIPPED = Path(__file__).parents[1] / "avatars"
"""The folder of avatars that ship with the project."""


@dataclass(frozen=True, slots=True, eq=False)
class Avatar:
    """A loaded avatar."""

    manifest: Manifest
    head: Head
    networks: TelewarpNetworks | PaperNetworks
    """On the CPU, float32, in evaluation mode without gradients."""
    background: RgbImage
    """At the manifest's resolution."""


def load_avatar(folder: Path) -> Avatar:
    """Load and check an avatar.

    Raises:
        AvatarError: If a file is missing, broken or inconsistent with another; the message names
            the file.
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
    """Write an avatar folder, except for its `head.npz` (see `scripts/bake_head.py`).

    Weights are stored in half precision, and the texture pyramids of our networks as one level.
    Networks with FLAME's conditioning keep full precision, to reproduce published results. Every
    file is replaced atomically, so that readers never see a part of it.

    Args:
        folder: Created if missing.
        avatar: The avatar to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    networks = avatar.networks
    exact = isinstance(networks, FlamePaperNetworks)
    weights = networks.state_dict()
    state = {name: value if exact else value.half() for name, value in weights.items()}
    network = networks.config
    if isinstance(networks, TelewarpNetworks):
        # Runtimes only use the sum of the levels (`NeuralTexture.texels`).
        state = {name: v for name, v in state.items() if LEVELS not in name}
        with torch.no_grad():
            state["features.levels.0"] = networks.features.texels().half()
            state["paint.levels.0"] = networks.paint.texels().half()
        network = replace(network, texture_levels=1)
    manifest = replace(avatar.manifest, network=network)

    part = folder / "weights.safetensors.part"
    save_file({name: value.contiguous() for name, value in state.items()}, part)
    part.replace(folder / "weights.safetensors")
    image = folder / "background.png.part"
    Image.fromarray(avatar.background).save(image, format="png")
    image.replace(folder / "background.png")
    text = folder / "manifest.json.part"
    text.write_text(json.dumps(manifest.to_json(), indent=1) + "\n")
    text.replace(folder / "manifest.json")


def _check_head(folder: Path, manifest: Manifest, head: Head) -> None:
    """Check that manifest and head file describe the same head."""
    for what, expected, got in (
        ("vertices", manifest.vertex_count, len(head.neutral)),
        ("triangles", manifest.triangle_count, len(head.faces)),
        ("expression names", manifest.expression_names, head.expression_names),
    ):
        if expected != got:
            raise AvatarError(
                f"{folder}: expected {what} {expected} as in the manifest, got {got} in head.npz"
            )
    if manifest.network.numbers == "flame" and not is_flame(head):
        raise AvatarError(
            f"{folder}: expected a FLAME head for these networks, got another in head.npz"
        )


def _load_background(path: Path, size: int) -> RgbImage:
    """Load an image, scaled to `size` pixels a side."""
    try:
        with Image.open(path) as file:
            image = np.array(file.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    except (OSError, UnidentifiedImageError) as exc:
        raise AvatarError(f"{path} is not a readable image: {exc}") from exc
    return image


def _load_networks(folder: Path, config: NetworkConfig) -> TelewarpNetworks | PaperNetworks:
    """Build networks, load their weights as float32, and freeze them."""
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
    # Such weights load without an error and render black or random frames.
    if not all(torch.isfinite(value).all() for value in networks.state_dict().values()):
        raise AvatarError(f"{path} has weights that are not finite")
    return networks.eval().requires_grad_(False)
