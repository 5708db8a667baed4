"""Small checkpoints and data sets in the layout of the paper's authors, with synthetic values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

SIZE = 64
FRAMES = 10
OPTIONS: dict[str, Any] = {
    "texturew": 32,
    "textureh": 32,
    "texture_dim": 16,
    "use_pyramid": True,
    "view_direction": 1,
    "use_lowpass": 1,
    "use_upconv": 1,
    "low_pass_sigma": 2,
    "use_warp": 1,
    "use_instance_norm": 0,
    "network_size": 0.125,
    "predict_mask": 1,
    "cache_layer": 3,
    "concat_uv_diff": 1,
    "use_pose": 1,
    "warp_sample": 0,
    "cache_features": 1,
    "sh_skips": 1,
    "sh_pose": 1,
    "use_mlp": 1,
    "skip_cache_dim": 8,
    "use_exp": 1,
    "t_diff": 2,
    "dataset_name": "imagenet",
    "use_bg": 0,
}


def checkpoint_shapes(n: float, texels: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each key of a checkpoint, from the sizes in the paper's supplement."""
    c64, c128, c256, c512 = (round(c * n) for c in (64, 128, 256, 512))
    convolutions = {
        "unet.down1.conv.0": (c64, 16, 4),
        "unet.down2.conv.1": (c128, c64, 4),
        "unet.down3.conv.1": (c256, c128, 4),
        "unet.down4.conv.1": (c512, c256, 4),
        "unet.down5.conv.1": (c512, c512, 4),
        "unet.up1.conv.2": (c512, c512, 3),
        "unet.up2.conv.2": (c512, 2 * c512, 3),
        "unet.up3.conv.2": (c256, c512 + c256, 3),
        "unet.up4.conv.2": (c128, c256 + c128, 3),
        "unet.up5.conv.2": (12, c128 + c64, 3),
        "warpnet.conv1.conv.2": (c128, 8 + c256 + 32 + 2, 3),
        "warpnet.conv2.conv.2": (4, 8 + c128, 3),
    }
    shapes: dict[str, tuple[int, ...]] = {"module.mlp.0.weight": (32, 125)}
    shapes["module.mlp.0.bias"] = (32,)
    for name, (outputs, inputs, side) in convolutions.items():
        shapes[f"module.{name}.weight"] = (outputs, inputs, side, side)
        shapes[f"module.{name}.bias"] = (outputs,)
    for level in range(4):
        for channel in range(16):
            shape = (1, 1, texels >> level, texels >> level)
            shapes[f"module.texture.layer{level + 1}.{channel}"] = shape
            shapes[f"module.texture.textures.{channel}.layer{level + 1}"] = shape
    return shapes


def checkpoint_weights() -> dict[str, torch.Tensor]:
    """Return random weights; each texture level equals its duplicate below `textures`."""
    torch.manual_seed(4)
    weights = {
        name: torch.randn(shape) / max(float(np.prod(shape[1:])), 1.0) ** 0.5
        for name, shape in checkpoint_shapes(OPTIONS["network_size"], 32).items()
    }
    for level in range(1, 5):
        for channel in range(16):
            duplicate = f"module.texture.textures.{channel}.layer{level}"
            weights[duplicate] = weights[f"module.texture.layer{level}.{channel}"]
    return weights


def write_checkpoint(folder: Path, options: dict[str, Any], saved: object) -> None:
    """Write the folder of a training run."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "commandline_args.txt").write_text(json.dumps(options))
    torch.save(saved, folder / "checkpoints" / "best_val_psnr.tar")


def write_dataset(folder: Path, white: float = 1.0, frames: int = FRAMES) -> None:
    """Write two splits of a chequered disk that moves to the right in front of a gradient."""
    folder.mkdir(parents=True)
    for seed, split in enumerate(("train", "validation")):
        arrays = dataset_arrays(white, frames, seed)
        for suffix, names in {
            "": ("larger_image", "grid", "bbox_center", "bbox_size", "extrinsics"),
            "-masks": ("mask",),
            "-pose": ("pose",),
            "-exp": ("exp",),
        }.items():
            with h5py.File(folder / f"{split}{suffix}.h5", "w") as file:
                for name in names:
                    file[name] = arrays[name]
    Image.fromarray(video_background()).save(folder / "median_background.jpg", quality=100)


def video_background() -> NDArray[np.uint8]:
    """Return a (100, 160, 3) image that is brighter to the right and at the bottom."""
    y, x = np.mgrid[:100, :160]
    return np.stack([x, y, np.full_like(x, 60)], axis=-1).astype(np.uint8)


def dataset_arrays(white: float, frames: int, seed: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of one split."""
    random = np.random.default_rng(seed)
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE * 2 - 1
    uv, image, mask = [], [], []
    for frame in range(frames):
        u, v = (x - 0.04 * frame + 0.15) / 0.7, y / 0.7
        inside = np.hypot(u, v) < 1
        squares = (np.floor(u * 3) + np.floor(v * 3)) % 2 * 0.5 + 0.3
        colour = squares * np.array([1, 0.6, 0.4])[:, None, None]
        behind = np.broadcast_to(np.array([0.3, 0.2, 0.23])[:, None, None], colour.shape)
        image.append(np.where(inside, colour, behind) * white)
        mask.append(inside * white)
        uv.append(np.where(inside[..., None], np.stack([u, v], axis=-1), np.nan))
    return {
        "larger_image": np.array(image, np.float32),
        "grid": np.array(uv, np.float32),
        "mask": np.array(mask, np.float32),
        "bbox_center": np.tile([80.0, 50.0], (frames, 1)),
        "bbox_size": np.full(frames, 60.0),
        "extrinsics": random.normal([8.0, 0.01, 0.02], 0.1, (frames, 3)).astype(np.float32),
        "pose": random.normal(0.1, 0.2, (frames, 1, 6)).astype(np.float32),
        "exp": random.normal(0.0, 0.7, (frames, 1, 50)).astype(np.float32),
    }
