"""Stages that find the person in the video: inspect, track, identity, pose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.capture.checks import (
    Finding,
    find_cuts,
    find_jumps,
    inspect,
    judge_track,
    refuse,
    thumbnail,
)
from models.capture.clip import Clip
from models.capture.errors import VideoError
from models.capture.face_model import FaceModel, Identity, average_identity, face_model
from models.capture.frame_fit import Camera, Pose, project
from models.capture.identity import (
    Observations,
    PersonFit,
    fit_person,
    fit_poses,
    key_frames,
    observe,
)
from models.capture.landmarks import LIDS, LIPS, OBSERVED
from models.capture.shape_space import load_shape_space
from models.capture.sheets import chosen_frames, save_sheet, sheet_frames, with_points
from models.capture.stages import Advance
from models.capture.tracker import Track, TrackRecorder, open_tracker
from models.heads.meshes import Floats

_WORST_RATIO = 2.5
"""Frames whose landmarks are this many times further off than usual are not used."""
_LEAST_USABLE = 0.5
"""Share of usable frames below which a video is refused."""


class Poses(NamedTuple):
    """The fit of all frames."""

    rotations: Floats
    """(N, 3, 3) rotations from head to camera."""
    translations: Floats
    """(N, 3) positions of the head in camera space, metres."""
    expressions: Floats
    """(N, E) coefficients, 0..1."""
    errors_px: Floats
    """(N, 470) distances of landmarks, at a face 100 pixels wide."""
    usable: NDArray[np.bool_]
    """(N,) frames whose landmarks the fit explains."""

    def pose(self, frame: int) -> Pose:
        """Return the pose of one frame."""
        return Pose(self.rotations[frame], self.translations[frame], self.expressions[frame])


@dataclass(frozen=True)
class FittingStages:
    """The stages, which exchange results in files.

    Args:
        clip: The video.
        folder: `OUT/capture`.
        landmarker: MediaPipe's model.
        anyway: Whether to continue if the video shows too little.
    """

    clip: Clip
    folder: Path
    landmarker: Path
    anyway: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return load_shape_space().source.names

    def inspect(self, advance: Advance) -> None:
        """Look at some frames; refuse a video that cannot be used."""
        with open_tracker(self.landmarker, self.names, video=False) as tracker:
            findings = inspect(self.clip, tracker, lambda share: advance(share, ""))
        self._judge(findings, advance)
        chosen = chosen_frames(self.clip, sheet_frames(range(self.clip.count)))
        save_sheet([rgb for _, rgb in chosen], self._sheet_file("inspect"))

    def track(self, advance: Advance) -> None:
        """Find the landmarks of all frames."""
        thumbnails = []
        recorder = TrackRecorder(self.clip.count, len(self.names))
        with open_tracker(self.landmarker, self.names, video=True) as tracker:
            for frame in self.clip.frames():
                recorder.add(tracker, frame)
                thumbnails.append(thumbnail(frame.rgb))
                advance((frame.number + 1) / self.clip.count, "")
        track = recorder.track
        # Thumbnails show cuts to another scene, jumps of the face those within one.
        cuts = sorted({*find_cuts(thumbnails), *find_jumps(track)})
        self._judge(judge_track(track, self.names, self.clip.fps, cuts), advance)
        self._save_sheet("track", track.found, track.landmarks)
        track.save(self.folder / "track.npz")

    def identity(self, advance: Advance) -> None:
        """Fit the shape of the head and the focal length."""
        space, seen, usable = load_shape_space(), self._observe(), self._track().found
        person = fit_person(
            face_model(space),
            seen,
            key_frames(usable),
            space.triangles,
            average_identity(space),
            lambda share: advance(share, ""),
        )
        save_person(person, self.folder / "person.npz")
        advance(1.0, f"landmarks are off by {person.error_px:.2f} % of the face's width")

    def pose(self, advance: Advance) -> None:
        """Fit pose and coefficients of all frames."""
        model, seen, found = face_model(load_shape_space()), self._observe(), self._track().found
        person = load_person(self.folder / "person.npz")
        count = len(found)
        poses = Poses(
            np.tile(np.eye(3), (count, 1, 1)),
            np.zeros((count, 3)),
            np.zeros((count, len(self.names))),
            np.full((count, len(OBSERVED)), np.nan),
            found,
        )
        frames = np.nonzero(found)[0].tolist()
        for frame, pose, errors in fit_poses(model, person, seen, frames):
            poses.rotations[frame], poses.translations[frame] = pose.rotation, pose.translation
            poses.expressions[frame], poses.errors_px[frame] = pose.expression, errors
            advance((frame + 1) / count, "")
        usable = usable_frames(poses.errors_px)
        if usable.mean() < _LEAST_USABLE:
            raise VideoError(
                f"The head was found well enough in {usable.sum()} of {count} frames only; keep it "
                "in view, in even light."
            )
        poses = poses._replace(usable=usable)
        self._save_sheet("pose", usable, self._projected(model, person, poses, seen.scale))
        save_poses(poses, self.folder / "poses.npz")
        advance(1.0, f"{usable.sum()} of {count} frames; {describe_errors(poses)}")

    def _projected(self, model: FaceModel, person: PersonFit, poses: Poses, scale: float) -> Floats:
        """Return (N, 470, 2) the fitted landmarks in pixels of the video."""
        rest = model.at_rest(person.identity)
        points = np.einsum("ike,ne->nik", model.expressions, poses.expressions) + rest
        turned = np.einsum("nkj,nij->nik", poses.rotations, points) + poses.translations[:, None]
        return np.array([project(p, person.camera) for p in turned]) * scale

    def _track(self) -> Track:
        return Track.load(self.folder / "track.npz")

    def _observe(self) -> Observations:
        return observe(self._track(), self.clip.info.width, self.clip.info.height)

    def _judge(self, findings: list[Finding], advance: Advance) -> None:
        for finding in findings:
            advance(1.0, finding.text)
        refuse(findings, weak_too=not self.anyway)

    def _sheet_file(self, stage: str) -> Path:
        return self.folder / "sheets" / f"{stage}.jpg"

    def _save_sheet(
        self, stage: str, shown: NDArray[np.bool_], points: NDArray[np.floating]
    ) -> None:
        """Save a sheet of points (N, n, 2) over some of the frames (N,) that may be shown."""
        frames = sheet_frames(np.nonzero(shown)[0].tolist())
        images = [with_points(rgb, points[n]) for n, rgb in chosen_frames(self.clip, frames)]
        save_sheet(images, self._sheet_file(stage))


def usable_frames(errors_px: Floats) -> NDArray[np.bool_]:
    """Return (N,) the frames whose landmarks (N, 470) fit about as well as usual."""
    median = np.full(len(errors_px), np.inf)
    found = np.isfinite(errors_px[:, 0])
    median[found] = np.median(errors_px[found], axis=1)
    # Relative to the video's own median: it depends on how well the shape space fits this person.
    usable: NDArray[np.bool_] = median < _WORST_RATIO * np.median(median[found])
    return usable


def describe_errors(poses: Poses) -> str:
    """Return the median errors by region, in percent of the face's width."""
    errors = poses.errors_px[poses.usable]
    count = len(OBSERVED)
    regions = {"all": range(count), "lips": LIPS, "lids": LIDS, "irises": range(count)[-2:]}
    parts = [f"{name} {np.median(errors[:, list(which)]):.2f}" for name, which in regions.items()]
    return "errors in % of the face's width: " + ", ".join(parts)


def save_person(person: PersonFit, path: Path) -> None:
    """Write shape and camera."""
    np.savez(
        path,
        allow_pickle=False,
        shapes=person.identity.shapes,
        offsets=person.identity.offsets,
        camera=np.array(person.camera),
        error_px=np.array(person.error_px),
    )


def load_person(path: Path) -> PersonFit:
    """Read what `save_person` wrote."""
    with np.load(path, allow_pickle=False) as file:
        identity = Identity(file["shapes"], file["offsets"])
        return PersonFit(identity, Camera(*file["camera"].tolist()), float(file["error_px"]))


def save_poses(poses: Poses, path: Path) -> None:
    """Write the fit of all frames."""
    np.savez(path, allow_pickle=False, **poses._asdict())


def load_poses(path: Path) -> Poses:
    """Read what `save_poses` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Poses(*(file[name] for name in Poses._fields))
