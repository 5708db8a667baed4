"""Finds landmarks and ARKit coefficients of faces with MediaPipe, offline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

from models.capture.video import VideoFrame
from models.contract.images import RgbImage

LANDMARKS = 478
MOST_FACES = 2
"""Faces to find. With one, MediaPipe smooths the landmarks of a video, which then lag behind fast
lips: on a rendered video the fitted jawOpen correlates by 0.82 with its truth, and with two faces,
which are not smoothed, by 0.88."""


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face in one frame."""

    landmarks: NDArray[np.float32]
    """(478, 2) pixels, x right, y down; the centre of the top left pixel is (0.5, 0.5)."""
    coefficients: NDArray[np.float32]
    """(E,) in the order of the tracker's `names`, 0..1; 0 where MediaPipe has none."""
    rotation: NDArray[np.float32]
    """(3, 3) head to camera, a first guess."""


@dataclass(frozen=True, slots=True)
class Track:
    """Faces of a whole video; frames without a face hold NaN."""

    landmarks: NDArray[np.float32]
    """(N, 478, 2) pixels."""
    coefficients: NDArray[np.float32]
    """(N, E) coefficients of each face, 0..1."""
    rotations: NDArray[np.float32]
    """(N, 3, 3) rotations from head to camera, a first guess."""

    @property
    def found(self) -> NDArray[np.bool_]:
        """(N,) whether a frame shows a face."""
        return np.isfinite(self.landmarks[:, 0, 0])

    def face_widths(self) -> NDArray[np.float32]:
        """Return (N,) the width of the face in pixels, NaN where there is none."""
        x = self.landmarks[..., 0]
        width: NDArray[np.float32] = x.max(axis=1) - x.min(axis=1)
        return width

    def only(self, frames: NDArray[np.int64]) -> Track:
        """Return the track of some frames (n,)."""
        return Track(self.landmarks[frames], self.coefficients[frames], self.rotations[frames])

    def save(self, path: Path) -> None:
        """Write the track to an npz file."""
        part = path.with_suffix(".part.npz")
        np.savez(
            part,
            allow_pickle=False,
            landmarks=self.landmarks,
            coefficients=self.coefficients,
            rotations=self.rotations,
        )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Track:
        """Read a track that `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["landmarks"], file["coefficients"], file["rotations"])


class FaceTracker:
    """MediaPipe's face landmarker; use `open_tracker`."""

    def __init__(self, landmarker: Any, names: Sequence[str], video: bool) -> None:
        self._landmarker, self._names, self._video = landmarker, names, video

    def faces(self, rgb: RgbImage, time_ms: int = 0) -> list[TrackedFace]:
        """Return the faces of an image.

        Args:
            rgb: (H, W, 3) uint8 image.
            time_ms: Time in the video, milliseconds, greater than that of the frame before. Ignored
                for single images.
        """
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        if self._video:
            result = self._landmarker.detect_for_video(image, time_ms)
        else:
            result = self._landmarker.detect(image)
        scale = np.array([rgb.shape[1], rgb.shape[0]], np.float32)
        return [
            TrackedFace(
                np.array([(p.x, p.y) for p in points], np.float32) * scale,
                self._ordered({c.category_name: c.score for c in shapes}),
                np.asarray(matrix, np.float32)[:3, :3],
            )
            for points, shapes, matrix in zip(
                result.face_landmarks,
                result.face_blendshapes,
                result.facial_transformation_matrixes,
                strict=True,
            )
        ]

    def _ordered(self, scores: dict[str, float]) -> NDArray[np.float32]:
        return np.array([scores.get(name, 0.0) for name in self._names], np.float32)


@contextmanager
def open_tracker(model: Path, names: Sequence[str], *, video: bool) -> Iterator[FaceTracker]:
    """Open a tracker and close it in the end.

    Args:
        model: `face_landmarker.task`, see `scripts/install_tracker.py`.
        names: Order of the coefficients.
        video: Whether images are consecutive frames, which are tracked instead of searched.
    """
    mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=mode,
        num_faces=MOST_FACES,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        yield FaceTracker(landmarker, names, video)


class TrackRecorder:
    """Collects the faces of consecutive frames.

    Args:
        count: Number of frames.
        expressions: Number of coefficients.
    """

    def __init__(self, count: int, expressions: int) -> None:
        self.track = Track(
            np.full((count, LANDMARKS, 2), np.nan, np.float32),
            np.full((count, expressions), np.nan, np.float32),
            np.full((count, 3, 3), np.nan, np.float32),
        )
        self._last_ms = -1
        self._middle: NDArray[np.float32] | None = None

    def add(self, tracker: FaceTracker, frame: VideoFrame) -> None:
        """Track the face of the next frame; `tracker` is opened for a video."""
        # MediaPipe refuses times that do not grow, which rounding can cause above 1000 frames/s.
        self._last_ms = max(self._last_ms + 1, round(frame.time_s * 1000))
        faces = tracker.faces(frame.rgb, self._last_ms)
        if faces:
            face = self._same(faces)
            self._middle = face.landmarks.mean(axis=0)
            self.track.landmarks[frame.number] = face.landmarks
            self.track.coefficients[frame.number] = face.coefficients
            self.track.rotations[frame.number] = face.rotation

    def _same(self, faces: Sequence[TrackedFace]) -> TrackedFace:
        """Return the face that is nearest to that of the frame before."""
        middle = self._middle
        if middle is None:
            return faces[0]
        return min(faces, key=lambda face: float(np.linalg.norm(face.landmarks.mean(0) - middle)))
