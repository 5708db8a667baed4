"""Turn a checkpoint of the paper's authors into an avatar, and compare it with their own output.

    .venv/bin/python scripts/import_authors_checkpoint.py CHECKPOINT_FOLDER out/avatar \\
        --flame generic_model.pkl --uvs FLAME_texture.npz --statistics DATASET_FOLDER
    .venv/bin/python scripts/import_authors_checkpoint.py CHECKPOINT_FOLDER out/avatar \\
        --verify CASE.npz

Their folder holds networks alone. What an avatar needs besides is not theirs to give: a FLAME model
(from its own licensors), its texture layout, and the mean and deviation that the training set's
numbers were standardised by. Without them nothing is written; `--verify` works all the same. It
prints one JSON line of relative errors by array, in the plain and in the split form.
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
from models.data.authors_dataset import AuthorsSplit, read_statistics
from models.data.dataset import DatasetError
from models.geometry.flame import (
    COEFFICIENT_NAMES,
    COEFFICIENT_RANGE,
    flame_head,
    load_flame,
    load_texture_space,
)
from models.geometry.head import HeadError, load_head
from models.networks.avatar_networks import FlamePaperNetworks
from models.networks.generator import STRIDE


@dataclass(frozen=True)
class Arguments:
    """Import a checkpoint of the paper's authors."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Theirs: commandline_args.txt and checkpoints/*.tar."""
    out: Annotated[Path, tyro.conf.Positional]
    """The avatar folder to write."""
    checkpoint: Path | None = None
    """Which .tar, if not the best one."""
    flame: Path | None = None
    """FLAME's model file, .pkl (nothing in it is run) or .npz."""
    shape: Path | None = None
    """.npy of up to 100 shape coefficients of the person; FLAME's mean face without it."""
    uvs: Path | None = None
    """The texture layout that the checkpoint was trained with: .npz with vt and ft, or .obj.
    Without it the head is unrolled from a cylinder, which fits no checkpoint of theirs."""
    statistics: Path | None = None
    """What numbers are standardised by: the data set's folder, or .npz with mean and deviation of
    59 numbers (pose 6, camera 3, expression 50)."""
    background: Path | None = None
    """Picture behind the head; the data set's if --statistics is one, else grey."""
    resolution: int = 512
    """Rows and columns of the avatar's pictures, a multiple of 32; what it was trained with."""
    id: str = "imported"
    name: str = "Imported"
    licence: str = "as its authors say"
    verify: Path | None = None
    """A case of the published code (.npz) to compare with."""


def main(arguments: Arguments) -> int:
    """Import, and verify if asked. Returns the exit code."""
    try:
        networks = read_checkpoint(
            arguments.folder, len(COEFFICIENT_NAMES), file=arguments.checkpoint
        )
        print(f"read {arguments.folder}: n = {networks.config.network_size:g}", file=sys.stderr)
        missing = [f"--{name}" for name in ("flame", "statistics") if _lacks(arguments, name)]
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


def _lacks(arguments: Arguments, name: str) -> bool:
    return getattr(arguments, name) is None


def _write_avatar(arguments: Arguments, networks: FlamePaperNetworks) -> FlamePaperNetworks:
    """Write the folder. Returns its networks, read from there."""
    assert arguments.flame is not None
    assert arguments.statistics is not None
    if arguments.resolution <= 0 or arguments.resolution % STRIDE:
        raise ValueError(f"resolution must be a multiple of {STRIDE}, got {arguments.resolution}")
    networks.standardize_by(*map(torch.from_numpy, read_statistics(arguments.statistics)))
    space = load_texture_space(arguments.uvs) if arguments.uvs else None
    shape = np.load(arguments.shape).reshape(-1) if arguments.shape else None
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
            raise ValueError(f"{arguments.background} is not a readable picture") from exc
    if arguments.statistics is not None and arguments.statistics.is_dir():
        picture = Image.fromarray(AuthorsSplit(arguments.statistics, "train").background)
        return np.array(picture.resize((size, size)))
    return np.full((size, size, 3), 128, np.uint8)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
