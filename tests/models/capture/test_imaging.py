"""The dataset of a synthetic person whose torso moves independently of the head."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED
from models.capture.clip import Clip
from models.capture.fitting import Poses, save_poses
from models.capture.frame_fit import Camera, Pose
from models.capture.imaging import ImagingStages
from models.capture.stabilization import TorsoMotion
from models.capture.start import SEEN
from models.capture.video import VideoInfo
from models.capture.world import Crop, World
from models.data.dataset import SplitReader
from models.geometry.head_file import load_head
from models.heads.regions import Region, load_regions
from tests.models.capture.phone_video import HEAD

FRAMES, SIZE = 150, 96
SHIFT = 0.04
"""Shift of the torso in units of the image's side, alternately up and down for ten frames."""
TUFT = np.s_[2:7, 44:52]
"""Rows and columns beside the head's mesh that show hair."""
POSITION = np.array([0, 0.05, -0.9])
WORLD = World(
    Camera(190.0, SIZE / 2, SIZE / 2), Crop(SIZE / 2, SIZE / 2, SIZE), SIZE, np.eye(3), POSITION
)


class GivenWorldStages(ImagingStages):
    """The stages with a given world."""

    world = WORLD


@pytest.fixture(scope="module")
def avatar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the avatar after the stage."""
    out = tmp_path_factory.mktemp("drawn")
    (out / "capture").mkdir()
    shutil.copy(HEAD, out / "head.npz")
    names = load_head(HEAD).expression_names
    poses = Poses(
        np.tile(np.eye(3), (FRAMES, 1, 1)), np.tile(POSITION, (FRAMES, 1)),
        np.zeros((FRAMES, len(names))), np.zeros((FRAMES, 470)), np.ones(FRAMES, bool),
    )  # fmt: skip
    save_poses(poses, out / "capture" / "poses.npz")
    rgb, coverage = filmed(poses.pose(0))
    np.save(out / "capture" / "frames.npy", rgb)
    np.save(out / "capture" / "mattes.npy", coverage)
    np.savez(
        out / "capture" / "light.npz",
        rgb=np.full((SIZE, SIZE, 3), 90, np.uint8),
        gains=np.ones((FRAMES, 3)),
    )
    info = VideoInfo(SIZE, SIZE, 0, tuple(n / 25 for n in range(FRAMES)))
    stages = GivenWorldStages(Clip(out, info, 1), out, out, SIZE, "short", SHIPPED / "default")
    stages.dataset(lambda *_: None)
    return out


def filmed(pose: Pose) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images (N, S, S, 3) and mattes (N, S, S) of a person in striped clothes."""
    head, regions = load_head(HEAD), load_regions(load_head(HEAD), HEAD)
    assert regions is not None
    state = WORLD.state(pose)
    shown = regions.shown(state, SIZE)
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    plate = image.copy()
    image[shown != Region.BACKGROUND] = 180
    stripes = (np.arange(SIZE) // 4 % 2 * 30 + 100).astype(np.uint8)
    striped = np.broadcast_to(stripes[:, None, None], image.shape)
    image = np.where((shown == Region.CLOTHES)[..., None], striped, image)
    coverage = np.where(shown == Region.BACKGROUND, 0, 255).astype(np.uint8)
    assert not coverage[TUFT].any()
    image[TUFT], coverage[TUFT] = 30, 255
    maps = np.tile(np.eye(3), (2, 1, 1))
    maps[:, 1, 2] = SHIFT / 2, -SHIFT / 2
    both = [TorsoMotion(maps).stabilized(head, state, n, (image, coverage), plate) for n in (0, 1)]
    stabilized = [both[n // 10 % 2] for n in range(FRAMES)]
    return np.array([f.rgb for f in stabilized]), np.array([f.coverage for f in stabilized])


def mean_deviation(avatar_folder: Path, split: str) -> float:
    """Return the mean absolute deviation of a split's frames from their mean, in levels."""
    reader = SplitReader(avatar_folder / "data", split)
    images = np.array([reader.frame(n)[1] for n in range(len(reader))], np.float64)
    return float(np.abs(images - images.mean(axis=0)).mean())


def test_the_torso_is_stabilized_in_training_frames_only(avatar_folder: Path) -> None:
    assert mean_deviation(avatar_folder, "train") < 0.5 * mean_deviation(avatar_folder, "test")


def test_held_out_frames_equal_the_filmed_frames(avatar_folder: Path) -> None:
    frames = np.load(avatar_folder / "capture" / "frames.npy")
    filmed_once = {frame.tobytes() for frame in frames}
    for split in ("val", "test"):
        reader = SplitReader(avatar_folder / "data", split)
        assert all(reader.frame(n)[1].tobytes() in filmed_once for n in range(len(reader)))


def test_hair_beside_the_mesh_is_removed_from_training_frames_only(avatar_folder: Path) -> None:
    shown = {"train": (90, 0), "val": (30, 255), "test": (30, 255)}
    for split, (level, covered) in shown.items():
        _, rgb, coverage = SplitReader(avatar_folder / "data", split).frame(0)
        assert np.abs(rgb[TUFT].astype(int) - level).max() <= 1
        assert (coverage[TUFT] == covered).all()


def test_the_start_marks_the_texels_that_the_video_shows_well(avatar_folder: Path) -> None:
    seen = np.load(avatar_folder / "init" / SEEN)
    assert seen.shape == (512, 512)
    assert 0.01 < seen.mean() < 0.5
