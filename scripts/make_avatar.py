"""Make an avatar from a video, a recipe or a mesh: head, dataset, training and evaluation.

    .venv/bin/python scripts/make_avatar.py --video me.mp4 --name Me --consent "I agree ..."

    .venv/bin/python scripts/make_avatar.py --list
    .venv/bin/python scripts/make_avatar.py --recipe marcus --recording RECORDING.csv
    .venv/bin/python scripts/make_avatar.py --recipe marcus --quick          # minutes, as a test
    .venv/bin/python scripts/make_avatar.py --head face.glb --recording RECORDING.csv
    .venv/bin/python scripts/make_avatar.py --recipe marcus --size 512 --resolution 512 \\
        --network-size 1 --device cuda --minutes 600 --out runs/marcus-hd

Builds the head (or copies the shipped one of the same recipe, or imports a mesh, see
`scripts/import_head.py`), renders a dataset, trains, evaluates, and renders contact sheets. `--out`
contains `head.npz`, `data/`, the training run, and `avatar/`; `scripts/serve.sh --avatars OUT`
serves it. After an interruption, the same command resumes; finished steps are not repeated.

`--video` needs the extra `capture`, and a minute of one person who looks straight, turns to both
sides, talks, blinks and smiles; see models/README.md. Problems of a video are reported before
training. With `--progress json` each line of the standard output is an object with stage, index,
stages, fraction and message; the last one holds the path of the avatar, or an error with which the
command exits with code 2.
"""

from __future__ import annotations

from scripts import one_blas_thread  # noqa: F401

# isort: split
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro

from models.avatar.folder import SHIPPED
from models.data.dataset import DatasetError, DatasetInfo, file_sha256
from models.data.motion import RecordingError
from models.data.pairs import PairSettings
from models.geometry.head import HeadError
from models.heads.gltf_file import MeshFileError
from models.heads.imported import import_head
from models.heads.recipe import RECIPES
from models.networks.avatar_networks import NetworkConfig
from models.training.trainer import TrainConfig
from scripts import bake_head, contact_sheet, evaluate, make_dataset, train

INSTALL = ".venv/bin/pip install -c scripts/constraints.txt -e '.[avatars]'"

INSTALL_CAPTURE = ".venv/bin/pip install -c scripts/constraints.txt -e '.[training,capture]'"


class MakeAvatarError(Exception):
    """The arguments or the folder do not allow to make the avatar."""


@dataclass(frozen=True)
class Preset:
    """Sizes of the dataset, the training run and the evaluation."""

    sequences: tuple[int, int, int]
    """Sequences of the splits train, val and test."""
    size: int
    """Rows and columns of the dataset's images."""
    resolution: int
    """Rows and columns of the avatar's frames."""
    minutes: float
    """Duration of training."""
    measured_frames: int
    """Frames of the evaluation."""


FULL = Preset((175, 10, 20), size=384, resolution=320, minutes=70, measured_frames=60)
VIDEO = Preset((0, 0, 0), size=320, resolution=320, minutes=20, measured_frames=30)
LEAST_STEPS = 400
"""Steps of training on a video in the default time on a busy machine; two idle cores make twice as
many."""
VIDEO_QUICK = Preset((0, 0, 0), size=192, resolution=192, minutes=1, measured_frames=8)
"""Preset for a video, whose length determines the number of sequences."""
QUICK = Preset((16, 2, 3), size=192, resolution=192, minutes=4, measured_frames=8)


@dataclass(frozen=True)
class Arguments:
    """Make an avatar."""

    recipe: str | None = None
    """Name of the recipe; `--list` prints all."""
    head: Path | None = None
    """Mesh file to use instead of a recipe: .glb or .gltf with ARKit's morph targets, or .obj."""
    video: Path | None = None
    """Video of a person to use instead of a recipe."""
    name: str | None = None
    """Display name of the person in the video; default: name of the file."""
    consent: str = ""
    """Statement by which the person in the video agrees to the avatar; kept in its manifest."""
    hair: Literal["short", "tied"] = "short"
    """Hair that the fit to the video starts from: short, or tied at the back."""
    anyway: bool = False
    """Continue with a video that is short, dark, blurred or incomplete."""
    progress: Literal["bar", "json"] = "bar"
    """For a video: print a progress bar, or one JSON object per line."""
    preview: int | None = None
    """For a video: port of this machine at which the viewer shows the avatar during training. The
    server restarts with each better avatar and uses CPU time of the training."""
    list: bool = False
    """Print the recipes and exit."""
    out: Path | None = None
    """Folder for all files; default: `runs/NAME`."""
    baked: Path | None = None
    """Head file (head.npz) to use instead of building one."""
    recording: Path | None = None
    """Live Link Face CSV for most expressions."""
    sequences: tuple[int, int, int] | None = None
    """Sequences of 24 frames for training, validation and test; default: 175 10 20, with --quick
    16 2 3."""
    quick: bool = False
    """Use a small dataset and minutes of training, as a test."""
    size: int | None = None
    """Rows and columns of the dataset's images; default: 384, with --quick 192."""
    resolution: int | None = None
    """Rows and columns of the avatar's frames, a multiple of 32; default: 320, with --quick 192."""
    network_size: float = 0.25
    """Width n of the networks."""
    minutes: float | None = None
    """Duration of training; default: 70, with --quick 4. Of a video: 20, longer on a machine that
    is too busy for 400 steps, and with --quick 1."""
    device: str = "cpu"
    """PyTorch device to train on."""
    threads: int = 0
    """CPU threads for training; 0 uses all cores."""
    workers: int = 2
    """Processes that render the dataset."""

    @property
    def avatar(self) -> str:
        """Name of the avatar: that of the recipe, or the stem of the mesh file."""
        return str(self.recipe) if self.head is None else self.head.stem

    @property
    def folder(self) -> Path:
        """Folder for all files."""
        return self.out or Path("runs") / self.avatar

    @property
    def preset(self) -> Preset:
        """The preset, with the values given on the command line."""
        preset = QUICK if self.quick else FULL
        return Preset(
            sequences=self.sequences or preset.sequences,
            size=self.size or preset.size,
            resolution=self.resolution or preset.resolution,
            minutes=self.minutes or preset.minutes,
            measured_frames=preset.measured_frames,
        )


def prepare_head(arguments: Arguments) -> Path:
    """Write the head file to the folder, unless it is there, and return its path.

    The head is imported from `--head`, copied from `--baked` or from the shipped avatar of the same
    recipe, or built from the recipe.

    Raises:
        MakeAvatarError: If it must be built and anny is not installed.
        MeshFileError: If the mesh file is unreadable or not a head.
    """
    name = arguments.avatar
    head, shipped = arguments.folder / "head.npz", SHIPPED / name / "head.npz"
    head.parent.mkdir(parents=True, exist_ok=True)
    if arguments.head is not None:
        arrays = import_head(arguments.head, lambda note: print(f"make_avatar: {note}"))
        np.savez_compressed(head, allow_pickle=False, **arrays)
    elif arguments.baked is not None:
        shutil.copy(arguments.baked, head)
    elif not _is_built_from(head, name):
        if _is_built_from(shipped, name):
            shutil.copy(shipped, head)
        else:
            _bake(name, head)
    return head


def _is_built_from(head: Path, recipe: str) -> bool:
    """Return whether a head file exists and was built from the current version of a recipe."""
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
        raise MakeAvatarError(
            f"building a head needs anny: {INSTALL}, or give --baked FILE"
        ) from exc


def render_images(arguments: Arguments, head: Path) -> Path:
    """Render the dataset of the head, unless it exists, and return its folder.

    Raises:
        MakeAvatarError: If the existing dataset shows another head or has another size.
    """
    # Renamed when complete, so that an interrupted run leaves no partial dataset in its place.
    data, part = arguments.folder / "data", arguments.folder / "data.part"
    preset = arguments.preset
    if data.exists():
        info = DatasetInfo.read(data)
        if (info.head_sha256, info.size) != (file_sha256(head), preset.size):
            raise MakeAvatarError(
                f"{data} shows another head, or is in another size than {preset.size}; "
                "remove it or choose another --out"
            )
        return data
    shutil.rmtree(part, ignore_errors=True)
    train_count, val_count, test_count = preset.sequences
    make_dataset.make_dataset(
        make_dataset.Arguments(
            out=part,
            recording=arguments.recording,
            head=head,
            size=preset.size,
            train=train_count,
            val=val_count,
            test=test_count,
            workers=arguments.workers,
        )
    )
    part.rename(data)
    return data


def train_avatar(arguments: Arguments, head: Path, data: Path) -> Path:
    """Train to the end, or resume the run in the folder. Returns the folder of the best avatar."""
    preset, name = arguments.preset, arguments.avatar
    train.main(
        train.Arguments(
            data=data,
            run=arguments.folder,
            head=head,
            id=name,
            name=name.capitalize(),
            resolution=preset.resolution,
            threads=arguments.threads,
            train=TrainConfig(
                network=NetworkConfig(network_size=arguments.network_size),
                pairs=PairSettings(batch=4, max_age=16, crop=min(192, preset.size)),
                steps=1_000_000,  # more than any machine makes: `minutes` ends the run
                minutes=preset.minutes,
                device=arguments.device,
            ),
        )
    )
    return arguments.folder / "avatar"


def evaluate_avatar(arguments: Arguments, avatar: Path, data: Path) -> int:
    """Evaluate on held-out frames and render a contact sheet. Returns the exit code."""
    sheet, weights = avatar / "contact_sheet.jpg", avatar / "weights.safetensors"
    # The sheet is written last, so the evaluation of these weights is complete if it is newer.
    if sheet.exists() and sheet.stat().st_mtime_ns >= weights.stat().st_mtime_ns:
        return 0
    failed = evaluate.main(
        evaluate.Arguments(
            avatar=avatar,
            dataset=data,
            frames=arguments.preset.measured_frames,
            device=arguments.device,
            contact_sheet=arguments.folder / "evaluation_sheet.png",
        )
    )
    return failed or contact_sheet.main(contact_sheet.Arguments(avatar, sheet, arguments.device))


def make_from_video(arguments: Arguments) -> int:
    """Make an avatar of the person in a video. Returns the exit code."""
    assert arguments.video is not None
    try:
        from scripts import video_avatar
    except ModuleNotFoundError as exc:
        if exc.name not in ("mediapipe", "scipy"):
            raise
        print(f"make_avatar: a video needs the extra capture: {INSTALL_CAPTURE}", file=sys.stderr)
        return 1
    name = arguments.name or arguments.video.stem
    return video_avatar.make(
        video_avatar.VideoArguments(
            video=arguments.video,
            name=name,
            consent=arguments.consent,
            out=arguments.out or Path("runs") / video_avatar.identifier(name),
            hair=arguments.hair,
            anyway=arguments.anyway,
            size=arguments.size or (VIDEO_QUICK if arguments.quick else VIDEO).size,
            minutes=arguments.minutes or (VIDEO_QUICK if arguments.quick else VIDEO).minutes,
            least_steps=0 if arguments.quick or arguments.minutes else LEAST_STEPS,
            measured_frames=(VIDEO_QUICK if arguments.quick else VIDEO).measured_frames,
            network_size=arguments.network_size,
            device=arguments.device,
            threads=arguments.threads,
            progress=arguments.progress,
            preview=arguments.preview,
        )
    )


def main(arguments: Arguments) -> int:
    """Run all steps. Returns the exit code."""
    if arguments.list:
        for name, recipe in RECIPES.items():
            print(f"{name:10s} {recipe.title}")
        return 0
    if arguments.video is not None:
        return make_from_video(arguments)
    known = arguments.recipe in RECIPES if arguments.head is None else arguments.recipe is None
    if not known:
        names = ", ".join(RECIPES)
        print(
            f"make_avatar: give --recipe, one of {names}, or --head FILE, or --video FILE",
            file=sys.stderr,
        )
        return 1
    try:
        print("1 of 4: the head")
        head = prepare_head(arguments)
        print("2 of 4: the dataset")
        data = render_images(arguments, head)
    except (
        MakeAvatarError, MeshFileError, HeadError, DatasetError, RecordingError, OSError
    ) as error:  # fmt: skip
        print(f"make_avatar: {error}", file=sys.stderr)
        return 1
    print("3 of 4: training")
    avatar = train_avatar(arguments, head, data)
    print("4 of 4: evaluation")
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    code = evaluate_avatar(arguments, avatar, data)
    print(f"to serve it: scripts/serve.sh --avatars {arguments.folder}")
    return code


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
