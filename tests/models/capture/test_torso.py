"""Steadying a torso that moves against the head, on the shipped avatar."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED, load_avatar
from models.capture.stabilization import StabilizedFrame, TorsoMotion
from models.capture.torso import TorsoTracker, similarity, track_torso
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.head import Head
from models.heads.regions import HeadRegions, Region, load_regions
from models.runtime.renderer import CachedRenderer

Bytes = NDArray[np.uint8]
SHIFT_PX = np.array([6, 4])


class Filmed(NamedTuple):
    """A person who moves the torso by `SHIFT_PX` in the second of two frames."""

    head: Head
    regions: HeadRegions
    state: FrameState
    frames: list[tuple[Bytes, Bytes]]
    plate: Bytes

    @property
    def clothes(self) -> NDArray[np.bool_]:
        """(H, W) pixels that show clothes in both frames."""
        inside: NDArray[np.bool_] = (
            self.regions.shown(self.state, len(self.plate)) == Region.CLOTHES
        )
        return inside & np.roll(inside, SHIFT_PX, (1, 0))

    def stabilized(self, motion: TorsoMotion) -> list[StabilizedFrame]:
        """Return both frames stabilized."""
        return [
            motion.stabilized(self.head, self.state, n, frame, self.plate)
            for n, frame in enumerate(self.frames)
        ]


@pytest.fixture(scope="module")
def filmed() -> Filmed:
    avatar = load_avatar(SHIPPED / "default")
    manifest, head = avatar.manifest, avatar.head
    regions = load_regions(head, SHIPPED / "default" / "head.npz")
    assert regions is not None
    state = neutral_state(len(manifest.expression_names), manifest.eye_position, manifest.fov_y_rad)
    image = CachedRenderer(avatar).full(state)
    shown = regions.shown(state, len(image))
    coverage = np.where(shown != Region.BACKGROUND, 255, 0).astype(np.uint8)
    plate = np.full_like(image, 90)
    image = np.where(coverage[..., None] > 0, image, plate)
    away = np.tile(np.eye(3), (1, 1, 1))
    away[0, :2, 2] = -SHIFT_PX / len(image)
    moved = TorsoMotion(away).stabilized(head, state, 0, (image, coverage), plate)
    frames = [(image, coverage), (moved.rgb, moved.coverage)]
    return Filmed(head, regions, state, frames, plate)


def test_the_shift_of_the_torso_is_estimated(filmed: Filmed) -> None:
    tracker = TorsoTracker(filmed.head, filmed.state, *filmed.frames[0])
    found = tracker.apart(filmed.state, *filmed.frames[1])
    assert found is not None
    middle = np.array([0.5, 0.9, 1])
    shift = (similarity(found) @ middle - middle)[:2] * len(filmed.plate)
    # The comparison includes the neck between head and torso, which moves less.
    assert np.abs(shift - SHIFT_PX).max() < 2.5


def test_stabilized_frames_show_a_moving_torso_at_rest(filmed: Filmed) -> None:
    motion = track_torso(
        filmed.head, lambda n: (filmed.state, *filmed.frames[n]), [0, 1], 2, lambda _: None
    )
    stabilized = filmed.stabilized(motion)
    inside = filmed.clothes & stabilized[0].known & stabilized[1].known
    before = _difference(filmed.frames[0][0], filmed.frames[1][0])[inside].mean()
    after = _difference(stabilized[0].rgb, stabilized[1].rgb)[inside].mean()
    assert after < 0.6 * before


def test_steadying_leaves_the_head_unchanged(filmed: Filmed) -> None:
    maps = np.tile(np.eye(3), (2, 1, 1))
    maps[1, 0, 2] = 0.03
    moved = filmed.stabilized(TorsoMotion(maps))[1]
    face = filmed.regions.shown(filmed.state, len(filmed.plate)) == Region.EYES
    assert face.any()
    assert np.array_equal(moved.rgb[face], filmed.frames[1][0][face])
    assert not np.array_equal(moved.rgb[filmed.clothes], filmed.frames[1][0][filmed.clothes])


def test_pixels_from_outside_the_image_are_unknown(filmed: Filmed) -> None:
    maps = np.tile(np.eye(3), (2, 1, 1))
    maps[0, 1, 2] = 0.05
    known = filmed.stabilized(TorsoMotion(maps))[0].known
    rows = int(0.05 * len(known))
    torso = filmed.clothes[-1]
    assert torso.any()
    assert not known[-rows + 1 :, torso].any()
    assert known[-2 * rows, torso].all()


def test_a_frame_without_a_torso_has_no_motion(filmed: Filmed) -> None:
    empty = (np.zeros_like(filmed.plate), np.zeros(filmed.plate.shape[:2], np.uint8))
    tracker = TorsoTracker(filmed.head, filmed.state, *filmed.frames[0])
    assert tracker.apart(filmed.state, *empty) is None


def _difference(one: Bytes, other: Bytes) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = np.abs(one.astype(np.float64) - other).mean(axis=2)
    return difference
