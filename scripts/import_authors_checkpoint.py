"""Convert a checkpoint of the paper's authors to an avatar, and verify it against their output.

    .venv/bin/python scripts/import_authors_checkpoint.py CHECKPOINT_FOLDER out/avatar \\
        --flame generic_model.pkl --uvs FLAME_texture.npz --statistics DATASET_FOLDER
    .venv/bin/python scripts/import_authors_checkpoint.py CHECKPOINT_FOLDER out/avatar \\
        --verify CASE.npz

The checkpoint holds networks only. An avatar also needs a FLAME model (licensed separately), its
texture layout, and the mean and deviation that standardized the conditioning of the training set.
Without them no avatar is written, but `--verify` works: it prints one line of JSON with the
relative error of each array, for the plain and the split warp.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from models.authors.checkpoint import CheckpointError, read_checkpoint
from models.authors.verification import CaseError, load_case, verify
from models.avatar.folder import Avatar, load_avatar, save_avatar
from models.avatar.manifest import AvatarError, Manifest
from models.contract.images import STRIDE
from models.data.authors_dataset import AuthorsSplit, read_statistics
from models.data.dataset import DatasetError
from models.geometry.flame import (
    COEFFICIENT_NAMES,
    COEFFICIENT_RANGE,
    flame_head,
    load_flame,
    load_texture_space,
)
from models.geometry.head import HeadError
from models.geometry.head_file import load_head
from models.geometry.npz import read_npy
from models.networks.avatar_networks import FlamePaperNetworks


@dataclass(frozen=True)
class Arguments:
    """Import a checkpoint of the paper's authors."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of the authors' training run: commandline_args.txt and checkpoints/*.tar."""
    out: Annotated[Path, tyro.conf.Positional]
    """Avatar folder to write."""
    checkpoint: Path | None = None
    """File of the checkpoint (.tar); default: the best one."""
    flame: Path | None = None
    """FLAME's model file: .pkl, read without running its code, or .npz."""
    shape: Path | None = None
    """.npy of up to 100 shape coefficients of the person; default: FLAME's mean face."""
    uvs: Path | None = None
    """Texture layout that the checkpoint was trained with: .npz with vt and ft, or .obj. Default: a
    cylindrical layout, which fits none of the authors' checkpoints."""
    statistics: Path | None = None
    """Statistics that standardize the conditioning: the folder of the dataset, or .npz with mean
    and deviation of 59 values (pose 6, camera 3, expression 50)."""
    background: Path | None = None
    """Background image; default: that of the dataset given by --statistics, otherwise grey."""
    resolution: int = 512
    """Rows and columns of the frames, a multiple of 32; as in training."""
    id: str = "imported"
    """Id of the avatar."""
    name: str = "Imported"
    """Display name of the avatar."""
    licence: str = "as its authors say"
    """Licence of the avatar."""
    verify: Path | None = None
    """Case of the published code (.npz) to compare with."""


def main(arguments: Arguments) -> int:
    """Import the checkpoint, and verify it with `--verify`. Returns the exit code."""
    try:
        networks = read_checkpoint(
            arguments.folder, len(COEFFICIENT_NAMES), file=arguments.checkpoint
        )
        print(f"read {arguments.folder}: n = {networks.config.network_size:g}", file=sys.stderr)
        missing = [f"--{name}" for name in ("flame", "statistics") if _is_missing(arguments, name)]
        if missing:
            print(f"no avatar was written: it needs {' and '.join(missing)}", file=sys.stderr)
        else:
            networks = _write_avatar(arguments, networks)
            print(f"wrote {arguments.out}", file=sys.stderr)
        if arguments.verify is not None:
            print(json.dumps(verify(networks, load_case(arguments.verify))))
    except (
        AvatarError, CaseError, CheckpointError, DatasetError, HeadError, OSError, ValueError
    ) as error:  # fmt: skip
        print(f"import_authors_checkpoint: {error}", file=sys.stderr)
        return 1
    return 0 if arguments.verify is not None or not missing else 1


def _is_missing(arguments: Arguments, name: str) -> bool:
    return getattr(arguments, name) is None


def _write_avatar(arguments: Arguments, networks: FlamePaperNetworks) -> FlamePaperNetworks:
    """Write the avatar folder, and return the networks that are read back from it."""
    assert arguments.flame is not None
    assert arguments.statistics is not None
    if arguments.resolution <= 0 or arguments.resolution % STRIDE:
        raise ValueError(f"resolution must be a multiple of {STRIDE}, got {arguments.resolution}")
    networks.standardize_by(*map(torch.from_numpy, read_statistics(arguments.statistics)))
    space = load_texture_space(arguments.uvs) if arguments.uvs else None
    shape = read_npy(arguments.shape).reshape(-1) if arguments.shape else None
    arrays = flame_head(load_flame(arguments.flame), shape, space)
    background = _background(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.out / "head.npz", allow_pickle=False, **arrays)
    head = load_head(arguments.out / "head.npz")
    x, y, z = arrays["eye_position"].tolist()
    manifest = Manifest(
        id=arguments.id,
        name=arguments.name,
        resolution=arguments.resolution,
        expression_names=head.expression_names,
        vertex_count=len(head.neutral),
        triangle_count=len(head.faces),
        eye_position=(x, y, z),
        fov_y_rad=float(arrays["fov_y_rad"]),
        licence=arguments.licence,
        origin="Imported from a checkpoint of the paper's authors; the head is FLAME's",
        network=networks.config,
        expression_range=COEFFICIENT_RANGE,
    )
    save_avatar(arguments.out, Avatar(manifest, head, networks, background))
    # Read back, so that `--verify` compares what is served.
    written = load_avatar(arguments.out).networks
    assert isinstance(written, FlamePaperNetworks)
    return written


def _background(arguments: Arguments) -> NDArray[np.uint8]:
    size = arguments.resolution
    if arguments.background is not None:
        try:
            with Image.open(arguments.background) as file:
                return np.array(file.convert("RGB").resize((size, size)))
        except UnidentifiedImageError as exc:
            raise ValueError(f"{arguments.background} is not a readable image") from exc
    if arguments.statistics is not None and arguments.statistics.is_dir():
        image = Image.fromarray(AuthorsSplit(arguments.statistics, "train").background)
        return np.array(image.resize((size, size)))
    return np.full((size, size, 3), 128, np.uint8)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
