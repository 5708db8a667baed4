"""Stages that make a head and a dataset of a fitted person: matte, head, dataset."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.capture.build_head import build_head
from models.capture.clip import Clip
from models.capture.deformable import deformable
from models.capture.errors import VideoError
from models.capture.fitting import load_person, load_poses
from models.capture.frame_fit import Camera
from models.capture.hull import FIT_SIZE, MATTES, fit_hull
from models.capture.identity import observe
from models.capture.occluders import Occluders
from models.capture.plate import (
    Plate,
    at_plate_exposure,
    exposure_gain,
    exposure_steps,
    make_plate,
)
from models.capture.segmenter import open_segmenter
from models.capture.shape_space import load_shape_space
from models.capture.sheets import save_sheet, sheet_frames, with_edges, with_tint
from models.capture.splits import divide
from models.capture.stabilization import StabilizedFrame, TorsoMotion
from models.capture.stages import Advance
from models.capture.start import write_start
from models.capture.texture import Unwrapped
from models.capture.torso import track_torso
from models.capture.tracker import Track
from models.capture.uncovered import remove_uncovered
from models.capture.weights import pixel_weights
from models.capture.world import World, place_world
from models.contract.frame_state import FrameState
from models.data.dataset import (
    VERSION,
    WEIGHT_UNIT,
    DatasetInfo,
    create_split,
    file_sha256,
    write_frame,
)
from models.geometry.head import Head
from models.geometry.head_file import load_head
from models.heads.regions import HeadRegions

Bytes = NDArray[np.uint8]

_PLATE_FRAMES = 120
"""Frames that the background plate is the median of."""
_UNWRAPPED_FRAMES = 200
"""Frames whose mean colour is unwrapped."""
_STEPS_NOTED = 3


@dataclass(frozen=True)
class ImagingStages:
    """The stages, which exchange results in files.

    Args:
        clip: The video.
        out: The folder of the avatar.
        segmenter: MediaPipe's model.
        size: Rows and columns of the images.
        hair: One of `shape_space.HAIR_CUTS`.
        prior: Avatar whose weights training starts from.
    """

    clip: Clip
    out: Path
    segmenter: Path
    size: int
    hair: str
    prior: Path

    @property
    def folder(self) -> Path:
        """`OUT/capture`."""
        return self.out / "capture"

    @cached_property
    def world(self) -> World:
        """World and virtual camera."""
        info, track = self.clip.info, Track.load(self.folder / "track.npz")
        person, poses = load_person(self.folder / "person.npz"), load_poses(self._poses)
        scale = observe(track, info.width, info.height).scale
        camera = Camera(*(value * scale for value in person.camera))
        frames = np.nonzero(poses.usable)[0]
        shown = track.only(frames)
        chosen = [poses.pose(int(frame)) for frame in frames]
        return place_world(camera, chosen, shown, info.width, info.height, self.size)

    @property
    def _poses(self) -> Path:
        return self.folder / "poses.npz"

    def matte(self, advance: Advance) -> None:
        """Separate person and background in all frames, as the virtual camera sees them."""
        count, size = self.clip.count, self.size
        frames = self._allocate("frames", (count, size, size, 3))
        mattes = self._allocate("mattes", (count, size, size))
        with open_segmenter(self.segmenter) as segmenter:
            for frame in self.clip.frames():
                frames[frame.number] = self.world.view(frame.rgb)
                mattes[frame.number] = self.world.view(segmenter.coverage(frame.rgb))
                advance(0.9 * (frame.number + 1) / count, "")
        plate, gains = self._light(frames, mattes)
        np.savez(
            self.folder / "light.npz",
            allow_pickle=False,
            rgb=plate.rgb,
            seen=plate.seen,
            gains=gains,
        )
        shown = sheet_frames(range(count))
        images = [with_tint(frames[n], mattes[n] / 255) for n in shown]
        save_sheet([*images, plate.rgb], self.folder / "sheets" / "matte.jpg")
        steps = exposure_steps(gains)
        note = f"the exposure jumps {steps} times; " if steps > _STEPS_NOTED else ""
        advance(1.0, f"{note}{1 - plate.seen.mean():.0%} of the background was never seen")

    def _light(self, frames: Bytes, mattes: Bytes) -> tuple[Plate, NDArray[np.float64]]:
        """Return the plate, and the gain (N, 3) of each frame against it."""
        some = np.linspace(0, len(frames) - 1, min(_PLATE_FRAMES, len(frames))).astype(int)
        plate = make_plate([frames[n] for n in some], [mattes[n] for n in some])
        # Frames of changing exposure blur the first plate: made again from even frames.
        even = [
            at_plate_exposure(frames[n], exposure_gain(frames[n], mattes[n], plate)) for n in some
        ]
        plate = make_plate(even, [mattes[n] for n in some])
        pairs = zip(frames, mattes, strict=True)
        return plate, np.array([exposure_gain(frame, matte, plate) for frame, matte in pairs])

    def head(self, advance: Advance) -> None:
        """Build the head, and fit hair and clothes to the mattes."""
        person, poses = load_person(self.folder / "person.npz"), load_poses(self._poses)
        arrays = build_head(load_shape_space(), person.identity, self.hair)
        advance(0.2, "")
        x, y, z = self.world.default_view()
        arrays["eye_position"] = np.array([x, y, z], np.float32)
        arrays["fov_y_rad"] = np.array(self.world.fov_y_rad, np.float32)
        head = self._write_head(arrays)
        usable = np.nonzero(poses.usable)[0]
        frames = usable[np.linspace(0, len(usable) - 1, min(MATTES, len(usable))).astype(int)]
        mattes = np.load(self.folder / "mattes.npy", mmap_mode="r")
        small = [cv2.resize(np.array(mattes[n]), (FIT_SIZE, FIT_SIZE)) for n in frames]
        states = [self.world.state(poses.pose(int(n))) for n in frames]
        fitted = fit_hull(
            head, deformable(arrays), states, [np.asarray(matte) > 127 for matte in small]
        )
        arrays["neutral"] = fitted.verts.astype(np.float32)
        head = self._write_head(arrays)
        self._head_sheet(head, arrays)
        advance(1.0, f"outline off by {fitted.before:.1%} of the person, fitted {fitted.after:.1%}")

    def _write_head(self, arrays: dict[str, NDArray[Any]]) -> Head:
        path = self.out / "head.npz"
        np.savez_compressed(path, allow_pickle=False, **arrays)
        return load_head(path)

    def _head_sheet(self, head: Head, arrays: dict[str, NDArray[Any]]) -> None:
        frames = np.load(self.folder / "frames.npy", mmap_mode="r")
        poses, regions = load_poses(self._poses), HeadRegions(head, arrays)
        images = []
        for n in sheet_frames(np.nonzero(poses.usable)[0].tolist()):
            shown = regions.shown(self.world.state(poses.pose(n)), self.size)
            images.append(with_edges(np.array(frames[n]), shown))
        save_sheet(images, self.folder / "sheets" / "head.jpg")

    def dataset(self, advance: Advance) -> None:
        """Write the dataset and the avatar that training starts from."""
        head = load_head(self.out / "head.npz")
        with np.load(self.out / "head.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("materials", "masks", "faces")}
        scene = _Scene(self, head)
        unwrapped = scene.unwrapped(scene.usable)
        advance(0.1, "")
        free = Occluders(head, arrays["materials"], unwrapped).free_of_hands(
            scene.frames(scene.usable), lambda: advance(0.1, "")
        )
        advance(0.3, "")
        usable = np.zeros(self.clip.count, bool)
        usable[[n for n, clear in zip(scene.usable, free, strict=True) if clear]] = True
        splits = divide(usable)
        if not all(splits.values()):
            raise VideoError(
                f"Only {usable.sum()} of {self.clip.count} frames show the body alone, in pieces "
                "too short to learn from; film again without hands in front of it."
            )
        # Held-out frames stay as they were filmed, and start no colours either.
        trained = [n for sequence in splits["train"] for n in sequence]
        scene.steady(trained, lambda share: advance(0.3 + 0.2 * share, ""))
        self._write_dataset(scene, HeadRegions(head, arrays), splits, advance)
        write_start(self.prior, scene.unwrapped(trained), self.out / "init")
        hidden = len(scene.usable) - int(usable.sum())
        advance(1.0, f"{hidden} frames with hands or other things before the body are left out")

    def _write_dataset(
        self,
        scene: _Scene,
        regions: HeadRegions,
        splits: dict[str, list[list[int]]],
        advance: Advance,
    ) -> None:
        data, part = self.out / "data", self.out / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        np.save(part / "background.npy", scene.plate)
        total, done, shown = sum(len(s) for q in splits.values() for s in q), 0, []
        for split, sequences in splits.items():
            states = [[scene.state(n) for n in sequence] for sequence in sequences]
            create_split(part / split, states, self.size, weighted=True)
            for index, n in enumerate(n for sequence in sequences for n in sequence):
                state = scene.state(n)
                rgb, coverage, known = scene.stabilized(n)
                weight = pixel_weights(regions, state, coverage) * known
                if split == "train":
                    # Held-out frames stay as they were filmed.
                    rgb, coverage = remove_uncovered(
                        scene.head, state, (rgb, coverage), scene.plate
                    )
                write_frame(part / split, index, rgb, coverage, weight)
                done += 1
                advance(0.5 + 0.45 * done / total, "")
                if done % max(1, total // 8) == 0:
                    shown.append(with_tint(rgb, weight / (4 * WEIGHT_UNIT)))
        self._describe(part, scene, splits)
        save_sheet(shown, self.folder / "sheets" / "dataset.jpg")
        shutil.rmtree(data, ignore_errors=True)
        # Training would resume a run on the former dataset, and weights of it fit another head.
        (self.out / "checkpoint.pt").unlink(missing_ok=True)
        shutil.rmtree(self.out / "avatar", ignore_errors=True)
        # Last, so that an interrupted stage leaves no dataset that looks complete.
        part.rename(data)

    def _describe(self, part: Path, scene: _Scene, splits: dict[str, list[list[int]]]) -> None:
        DatasetInfo(
            version=VERSION,
            size=self.size,
            fps=round(self.clip.fps),
            seed=0,
            head_sha256=file_sha256(self.out / "head.npz"),
            expression_names=scene.head.expression_names,
            eye_position=self.world.default_view(),
            fov_y_rad=self.world.fov_y_rad,
            recorded=True,
            counts={split: sum(map(len, sequences)) for split, sequences in splits.items()},
        ).write(part)

    def _allocate(self, name: str, shape: tuple[int, ...]) -> Bytes:
        # In a mapped file: the images of a minute take half a gigabyte, and later stages read them.
        return np.lib.format.open_memmap(
            self.folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape
        )


class _Scene:
    """Frames at the exposure of the plate, with their states and mattes."""

    def __init__(self, stages: ImagingStages, head: Head) -> None:
        folder = stages.folder
        self.head, self._world = head, stages.world
        self._frames = np.load(folder / "frames.npy", mmap_mode="r")
        self._mattes = np.load(folder / "mattes.npy", mmap_mode="r")
        with np.load(folder / "light.npz", allow_pickle=False) as file:
            self.plate, self._gains = file["rgb"], file["gains"]
        self._poses = load_poses(folder / "poses.npz")
        self._motion = TorsoMotion.none(len(self._frames))
        self.usable: list[int] = np.nonzero(self._poses.usable)[0].tolist()

    def state(self, n: int) -> FrameState:
        """Return the state of a frame."""
        return self._world.state(self._poses.pose(n))

    def steady(self, numbers: list[int], advance: Callable[[float], None]) -> None:
        """Track the torso in some of the frames; `stabilized` moves it in these."""
        self._motion = track_torso(self.head, self.frame, numbers, len(self._frames), advance)

    def stabilized(self, n: int) -> StabilizedFrame:
        """Return a frame with its torso moved to its position on the mesh."""
        state, rgb, coverage = self.frame(n)
        return self._motion.stabilized(self.head, state, n, (rgb, coverage), self.plate)

    def frame(self, n: int) -> tuple[FrameState, Bytes, Bytes]:
        """Return state, image and coverage of a frame."""
        rgb = at_plate_exposure(np.array(self._frames[n]), self._gains[n])
        return self.state(n), rgb, np.array(self._mattes[n])

    def frames(self, numbers: list[int]) -> Iterator[tuple[FrameState, Bytes, Bytes]]:
        """Yield state, image and coverage of frames."""
        for n in numbers:
            yield self.frame(n)

    def unwrapped(self, numbers: list[int]) -> Unwrapped:
        """Return the mean colour of some of the frames, in the texture."""
        unwrapped = Unwrapped(self.head)
        for n in numbers[:: max(1, len(numbers) // _UNWRAPPED_FRAMES)]:
            unwrapped.add(self.state(n), *self.stabilized(n)[:2])
        return unwrapped
