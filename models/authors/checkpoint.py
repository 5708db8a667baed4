"""Read a checkpoint of the paper's authors into our implementation of their networks.

    FOLDER/commandline_args.txt     JSON: options of the training run
    FOLDER/checkpoints/NAME.tar     torch.save of {"model_state_dict": ..., "epoch": ...}

Keys start with `module.` (from DataParallel). The texture is 16 modules of one channel and four
levels each; every level is stored twice, as `texture.layerL.C` and as
`texture.textures.C.layerL`.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.contract.shown_text import reason, shown
from models.networks.avatar_networks import FlamePaperNetworks, NetworkConfig

LEVELS = 4
"""Pyramid levels of a texture channel."""
_BEST = "best_val_psnr.tar"
_OPTIONS: dict[str, Any] = {
    "use_pyramid": True,
    "view_direction": True,
    "use_lowpass": True,
    "use_upconv": True,
    "low_pass_sigma": 2,
    "use_warp": True,
    "use_instance_norm": False,
    "predict_mask": True,
    "cache_layer": 3,
    "concat_uv_diff": True,
    "use_pose": True,
    "warp_sample": False,
    "cache_features": True,
    "sh_skips": True,
    "sh_pose": True,
    "use_mlp": True,
    "skip_cache_dim": 8,
    "use_exp": True,
    "dataset_name": "imagenet",
    "use_bg": False,
}
"""Options that our implementation supports; other values would build other networks."""

_SIZES = {
    "network_size": (1 / 64, 2),
    "texture_dim": (1, 64),
    "texturew": (1 << (LEVELS - 1), 4096),
    "textureh": (1 << (LEVELS - 1), 4096),
}
"""Least and greatest values. The least ones leave a channel to each layer and a texel to each level
of the texture; the authors' networks have 1, 16 and 512 at most."""
_MAX_OPTIONS_BYTES = 1 << 20


class CheckpointError(ValueError):
    """A folder is not a checkpoint of the authors, or of networks that we do not implement."""


def read_checkpoint(folder: Path, expressions: int, file: Path | None = None) -> FlamePaperNetworks:
    """Read the networks of a folder. Mean and deviation of the conditioning stay at 0 and 1.

    Args:
        folder: Folder of the authors' training run.
        expressions: Number of expression coefficients of the head, E.
        file: File of the checkpoint; default: the best one of the folder, or its only one.

    Raises:
        CheckpointError: If a file is missing or damaged, an option is not supported, or a weight
            is missing, unknown or of another shape.
    """
    options = _read_options(folder / "commandline_args.txt")
    path = file or _find_checkpoint(folder / "checkpoints")
    weights = _read_weights(path)
    # The networks are built from options, which could ask for any size.
    texels = int(options["texture_dim"]) * int(options["texturew"]) ** 2
    if texels > sum(weight.numel() for weight in weights.values()):
        raise CheckpointError(f"{path} holds no texture of the size in commandline_args.txt")
    networks = FlamePaperNetworks(_network_config(options, expressions))
    _fill(path, networks, weights)
    return networks.eval().requires_grad_(False)


def _read_options(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_OPTIONS_BYTES:
            raise ValueError(f"expected at most {_MAX_OPTIONS_BYTES >> 20} MB")
        options = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as exc:
        raise CheckpointError(
            f"{path} is not the JSON of a training's options: {reason(exc)}"
        ) from exc
    if not isinstance(options, dict):
        raise CheckpointError(f"{path} must hold a JSON object, got {type(options).__name__}")
    for name, expected in _OPTIONS.items():
        if name in options and options[name] != expected:
            raise CheckpointError(f"{path}: {name} must be {expected}, got {shown(options[name])}")
    for name, (least, most) in _SIZES.items():
        value = options.get(name)
        if not isinstance(value, int | float):
            raise CheckpointError(f"{path}: {name} must be a number, got {shown(value)}")
        if not least <= value <= most:
            raise CheckpointError(
                f"{path}: {name} must be from {least} to {most}, got {shown(value)}"
            )
    # `NeuralTexture` is square.
    if options["texturew"] != options["textureh"]:
        raise CheckpointError(
            f"{path}: textures must be square, got {options['texturew']}x{options['textureh']}"
        )
    return options


def _find_checkpoint(folder: Path) -> Path:
    # `_BEST` has the highest PSNR on the validation split.
    found = sorted(folder.glob("*.tar"))
    best = [path for path in found if path.name == _BEST]
    if len(found) != 1 and not best:
        names = ", ".join(path.name for path in found) or "none"
        raise CheckpointError(f"{folder} must hold {_BEST} or a single .tar, got {names}")
    return (best or found)[0]


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights by name, without `module.`.

    The authors' last checkpoint pickles whole modules; loading it would run code, so it is refused.
    """
    try:
        _check_records(path)
        with warnings.catch_warnings(action="ignore"):  # of formats, before the error
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as exc:  # a broken file can raise any exception
        raise CheckpointError(
            f"{path} is not a checkpoint of plain weights: {reason(exc)}"
        ) from exc
    state = saved.get("model_state_dict") if isinstance(saved, dict) else None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} must hold a dictionary with model_state_dict")
    weights = {str(key).removeprefix("module."): value for key, value in state.items()}
    left = 2 * path.stat().st_size  # each level of the texture counts twice
    for name, value in weights.items():
        left -= value.nbytes if _is_whole(value) else 0
        if left < 0:
            raise CheckpointError(f"{path}: its weights have more bytes than the file")
        if not (_is_whole(value) and torch.isfinite(value).all()):
            raise CheckpointError(f"{path}: {shown(name)} must be a tensor of finite numbers")
    return weights


def _check_records(path: Path) -> None:
    """Refuse compressed records, which could inflate to any size; torch writes none."""
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            if record.compress_type != zipfile.ZIP_STORED:
                raise ValueError("expected records that are not compressed")


def _is_whole(value: Any) -> bool:
    """Return whether a value is a plain tensor that has a number in memory for each element.

    Other tensors may repeat the same numbers many times.
    """
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _network_config(options: dict[str, Any], expressions: int) -> NetworkConfig:
    return NetworkConfig(
        variant="paper",
        network_size=options["network_size"],
        texture_channels=int(options["texture_dim"]),
        texture_size=int(options["texturew"]),
        texture_levels=LEVELS,
        expressions=expressions,
        numbers="flame",
    )


def _fill(path: Path, networks: FlamePaperNetworks, weights: dict[str, Tensor]) -> None:
    """Copy all weights into the networks, in place."""
    wanted = networks.state_dict()
    unread = dict(weights)
    for name, theirs in _names(networks.config).items():
        parts = []
        for key in theirs:
            shape = (1, 1, *wanted[name].shape[2:]) if len(theirs) > 1 else wanted[name].shape
            parts.append(_pop(path, unread, key, tuple(shape)))
        # Texture levels are stored as one tensor per channel.
        wanted[name].copy_(torch.cat(parts, dim=1) if len(theirs) > 1 else parts[0])
    _drop_duplicates(path, networks.config, weights, unread)
    if unread:
        raise CheckpointError(
            f"{path}: {len(unread)} unknown keys, the first is {shown(min(unread))!r}"
        )


def _pop(path: Path, unread: dict[str, Tensor], key: str, shape: tuple[int, ...]) -> Tensor:
    """Remove a weight from `unread` and return it, after checking its shape."""
    value = unread.pop(key, None)
    if value is None:
        raise CheckpointError(f"{path} lacks module.{key}, expected with shape {shape}")
    if value.shape != shape:
        raise CheckpointError(f"{path}: module.{key} must be {shape}, got {tuple(value.shape)}")
    return value


def _drop_duplicates(
    path: Path, config: NetworkConfig, weights: dict[str, Tensor], unread: dict[str, Tensor]
) -> None:
    """Remove the second copy of each texture level, after checking that both are equal."""
    for level in range(1, LEVELS + 1):
        for channel in range(config.texture_channels):
            copy = unread.pop(f"texture.textures.{channel}.layer{level}", None)
            first = weights[f"texture.layer{level}.{channel}"]
            if copy is not None and not torch.equal(copy, first):
                raise CheckpointError(
                    f"{path}: module.texture.textures.{channel}.layer{level} must equal "
                    f"module.texture.layer{level}.{channel}"
                )


def _names(config: NetworkConfig) -> dict[str, list[str]]:
    """Map names of our weights to theirs; a texture level maps to one name per channel."""
    # Indices within their blocks skip activations and resampling, which hold no weights.
    channels = range(config.texture_channels)
    names = {
        f"texture.levels.{level}": [f"texture.layer{level + 1}.{c}" for c in channels]
        for level in range(LEVELS)
    }
    layers = {f"generator.unet.down.{i}": f"unet.down{i + 1}.conv.{min(i, 1)}" for i in range(5)}
    layers |= {f"generator.unet.up.{i}": f"unet.up{i + 1}.conv.2" for i in range(4)}
    layers |= {
        "generator.unet.last.conv": "unet.up5.conv.2",
        "warper.first": "warpnet.conv1.conv.2",
        "warper.second": "warpnet.conv2.conv.2",
        "warper.motion.linear": "mlp.0",
    }
    for ours, theirs in layers.items():
        names |= {f"{ours}.{part}": [f"{theirs}.{part}"] for part in ("weight", "bias")}
    return names
