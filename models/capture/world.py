"""Places the filmed head in the world of the avatar: a fixed virtual camera and states of frames.

The world's axes are the mean orientation of the head, so that the body stands upright. The virtual
camera stands where the real one did and looks at the middle of the crop; an image of it is a
homography of the video's frame, exactly, and has no offset of the principal point.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, hypot

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.capture.frame_fit import Camera, Pose
from models.capture.tracker import Track
from models.contract.frame_state import FrameState
from models.geometry.camera import matrix_to_quaternion
from models.heads.meshes import Floats

Bytes = NDArray[np.uint8]

_SIDE_FACES = 2.7
"""Side of the crop in widths of the face: shows hair and shoulders."""
_ROOM_FACES = 0.9
"""Beside the range of the moving face, the crop shows this many widths of it in all."""
_LOWER_FACES = 0.12
"""The crop's middle lies this many widths below that of the landmarks, to show shoulders."""
_BLUR = 0.35
"""Standard deviation of the blur before an image shrinks, in pixels of the smaller one."""


@dataclass(frozen=True)
class Crop:
    """A square of the video's frame, in its pixels; may reach beyond it."""

    x: float
    """Middle."""
    y: float
    side: float


@dataclass(frozen=True)
class World:
    """World and virtual camera of one video."""

    camera: Camera
    """The real camera, in pixels of the video."""
    crop: Crop
    size: int
    """Rows and columns of the virtual camera's images."""
    orientation: Floats
    """(3, 3) world to real camera: the mean orientation of the head."""
    position: Floats
    """(3,) the world's origin in the real camera's axes: the mean position of the head."""

    @property
    def turn(self) -> Floats:
        """(3, 3) rotation of the virtual camera in the real camera's axes."""
        x = (self.crop.x - self.camera.x) / self.camera.focal
        y = (self.camera.y - self.crop.y) / self.camera.focal
        yaw, pitch = np.arctan2(-x, 1.0), np.arctan2(y, hypot(x, 1.0))
        turn: Floats = Rotation.from_euler("YX", [yaw, pitch]).as_matrix()
        return turn

    @property
    def fov_y_rad(self) -> float:
        """Field of view of the virtual camera."""
        return 2 * atan(self.crop.side / 2 / self.camera.focal)

    @property
    def eye_position(self) -> Floats:
        """(3,) metres, world."""
        position: Floats = -self.orientation.T @ self.position
        return position

    def state(self, pose: Pose) -> FrameState:
        """Return the state that the virtual camera renders for a pose."""
        rotation = self.orientation.T @ pose.rotation
        translation = self.orientation.T @ (pose.translation - self.position)
        eye_rotation = self.orientation.T @ self.turn
        return FrameState(
            head_rotation=matrix_to_quaternion(rotation).astype(np.float32),
            head_translation=translation.astype(np.float32),
            expression=pose.expression.astype(np.float32),
            eye_rotation=matrix_to_quaternion(eye_rotation).astype(np.float32),
            eye_position=self.eye_position.astype(np.float32),
            fov_y_rad=self.fov_y_rad,
        )

    def homography(self) -> Floats:
        """Return (3, 3) from pixels of the virtual camera's image to pixels of the video."""
        focal = self.camera.focal * self.size / self.crop.side
        middle = self.size / 2
        real = np.array(
            [
                [self.camera.focal, 0, -self.camera.x],
                [0, -self.camera.focal, -self.camera.y],
                [0, 0, -1],
            ]
        )
        virtual = np.array([[focal, 0, -middle], [0, -focal, -middle], [0, 0, -1]])
        matrix: Floats = real @ self.turn @ np.linalg.inv(virtual)
        return matrix

    def view(self, image: Bytes) -> Bytes:
        """Return a video's frame or mask (H, W[, 3]) as the virtual camera sees it."""
        shrink = self.crop.side / self.size
        if shrink > 1:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR * shrink), np.uint8)
        # Centres of pixels lie at .5 here, and at whole numbers in OpenCV.
        half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
        matrix = half @ self.homography() @ np.linalg.inv(half)
        seen = cv2.warpPerspective(
            image,
            matrix,
            (self.size, self.size),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(seen, np.uint8)

    def default_view(self) -> tuple[float, float, float]:
        """Return the eye position of an upright view from the front, at the filmed distance.

        Avatars store no rotation of their default view: it looks down -Z. Its height is that at
        which the middle of the crop passes the head.
        """
        axis = self.orientation.T @ self.turn @ np.array([0.0, 0, -1])
        eye = self.eye_position
        y = eye[1] + axis[1] * (-eye[2] / axis[2])
        return (0.0, round(float(y), 4), round(float(np.linalg.norm(eye)), 4))


def place_world(
    camera: Camera, poses: list[Pose], track: Track, width: int, height: int, size: int
) -> World:
    """Return the world of a video.

    Args:
        camera: Camera of the video, in pixels.
        poses: Poses of the head in all usable frames.
        track: Landmarks in these frames.
        width: Width of the video, pixels.
        height: Height of the video, pixels.
        size: Rows and columns of the virtual camera's images.
    """
    mean = Rotation.from_matrix(np.array([pose.rotation for pose in poses])).mean()
    position = np.mean([pose.translation for pose in poses], axis=0)
    crop = choose_crop(track, width, height)
    return World(camera, crop, size, mean.as_matrix(), position)


def choose_crop(track: Track, width: int, height: int) -> Crop:
    """Return a square around the moving head, inside the frame where it fits."""
    face = float(np.median(track.face_widths()))
    # Percentiles, because a few frames may be tracked wrongly.
    low = np.percentile(track.landmarks.min(axis=1), 2, axis=0)
    high = np.percentile(track.landmarks.max(axis=1), 98, axis=0)
    side = max(_SIDE_FACES * face, float((high - low).max()) + _ROOM_FACES * face)
    side = min(side, float(min(width, height)))
    x, y = (low + high) / 2
    y += _LOWER_FACES * face
    x = float(np.clip(x, side / 2, width - side / 2))
    y = float(np.clip(y, side / 2, height - side / 2))
    return Crop(x, y, side)
