"""The parameters of a frame: all that a frame needs from the host, less than 1 kB.

One row of 8-byte words per frame: float64 for the camera, whose products decide to which 1/256
pixel a vertex snaps; addresses of the tensors of its caches, so that a CUDA graph works for any
viewer's caches without copying them; float32 for the rest. Kernels take the same memory three
times, as pointers to each type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
import triton.language as tl
from torch import Tensor

from models.contract.channels import CAMERA_SIZE, COLOUR_CHANNELS, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import focal_px, quaternion_to_matrix, world_to_camera
from models.geometry.gbuffer import view_direction_matrix
from models.geometry.head import Head
from models.geometry.spherical_harmonics import BASES
from models.kernels.motion_code import channel_scale

MIXED = ("first", "second", "residual", "uv", "conditioning")
"""Tensors of a cache of which a crossfade mixes an older and a newer one, in the order of their
addresses."""

# Offsets in float64 words.
CAMERA_ROTATION = tl.constexpr(0)
CAMERA_TRANSLATION = tl.constexpr(9)
FOCAL = tl.constexpr(12)
VIEW_DIRECTIONS = tl.constexpr(13)
# Offsets in int64 words: an older and a newer address of each mixed tensor, then the newer points.
FIRST = tl.constexpr(22)
SECOND = tl.constexpr(24)
RESIDUAL = tl.constexpr(26)
UV = tl.constexpr(28)
OLDER_CONDITIONING = tl.constexpr(30)
POINTS = tl.constexpr(32)
# Offsets in float32 words.
HEAD_ROTATION = tl.constexpr(66)
HEAD_TRANSLATION = tl.constexpr(75)
BODY_SHIFT = tl.constexpr(78)
JOINT_ROTATIONS = tl.constexpr(81)
JOINT_CENTRES = tl.constexpr(108)
SHARE = tl.constexpr(117)
OWN_VERTICES = tl.constexpr(118)
HARMONICS = tl.constexpr(119)
CONDITIONING = tl.constexpr(128)
EXPRESSION = tl.constexpr(128 + POSE_SIZE + CAMERA_SIZE)


class FrameInput(NamedTuple):
    """Inputs of one frame."""

    state: FrameState
    conditioning: FloatArray
    """(9 + E,) as `compute_conditioning`."""
    older: Mapping[str, Tensor]
    """The cache that a crossfade comes from, in the frame of `newer`; the same without one."""
    newer: Mapping[str, Tensor]
    """The cache that it goes to."""
    share: float = 1.0
    """Weight of `newer`, 0..1; at 1 `older` is not read."""


class FrameParameters:
    """The parameters of a batch of frames, in the memory of the host.

    Args:
        head: Head of the avatar.
        size: Rows and columns of the image.
        batch: B, the most frames at once.
        pinned: Allocate page-locked memory, from which a GPU copies without the host waiting.
    """

    def __init__(self, head: Head, size: int, batch: int, *, pinned: bool) -> None:
        self._head, self._size = head, size
        coefficients = len(head.expression_names)
        coefficients += 0 if head.free_jaw is None else len(head.free_jaw.correctives)
        floats = EXPRESSION.value + coefficients
        self.words = -(-floats // 4) * 2
        """Length of a row, 8-byte words; rows begin at multiples of 16 bytes."""
        self.host = torch.zeros((batch, self.words), dtype=torch.int64, pin_memory=pinned)
        """(B, words)"""
        self._wide, self._addresses, self._narrow = (
            self.host.view(kind).numpy() for kind in (torch.float64, torch.int64, torch.float32)
        )

    def fill(self, index: int, frame: FrameInput) -> None:
        """Write the row of one frame.

        Args:
            index: Its number in the batch.
            frame: The frame. Its caches must live until the frame has been rendered.

        Raises:
            HeadError: If the state does not fit the head.
        """
        self._head.check(frame.state)
        self._fill_camera(self._wide[index], frame.state)
        self._fill_addresses(index, frame)
        self._fill_pose(self._narrow[index], frame.state)
        self._fill_view(self._narrow[index], frame)

    def _fill_camera(self, row: np.ndarray, state: FrameState) -> None:
        rotation, translation = world_to_camera(state)
        row[CAMERA_ROTATION.value : CAMERA_TRANSLATION.value] = rotation.reshape(-1)
        row[CAMERA_TRANSLATION.value : FOCAL.value] = translation
        row[FOCAL.value] = focal_px(state.fov_y_rad, self._size)
        directions = view_direction_matrix(state, self._size)
        row[VIEW_DIRECTIONS.value : FIRST.value] = directions.reshape(-1)

    def _fill_addresses(self, index: int, frame: FrameInput) -> None:
        addresses = [
            cache[name].data_ptr() for name in MIXED for cache in (frame.older, frame.newer)
        ]
        addresses.append(frame.newer["points"].data_ptr())
        self._addresses[index, FIRST.value : POINTS.value + 1] = addresses

    def _fill_pose(self, row: FloatArray, state: FrameState) -> None:
        rotation = quaternion_to_matrix(state.head_rotation).astype(np.float32)
        neck, translation = self._head.neck, state.head_translation
        row[HEAD_ROTATION.value : HEAD_TRANSLATION.value] = rotation.reshape(-1)
        row[HEAD_TRANSLATION.value : BODY_SHIFT.value] = translation
        # In the order of `geometry.head._to_world`, for the same rounding.
        turned = rotation[:, 0] * neck[0] + rotation[:, 1] * neck[1] + rotation[:, 2] * neck[2]
        row[BODY_SHIFT.value : JOINT_ROTATIONS.value] = turned + translation - neck
        row[OWN_VERTICES.value] = state.vertices is not None
        if state.vertices is None:
            self._fill_joints(row, state)

    def _fill_joints(self, row: FloatArray, state: FrameState) -> None:
        joints = self._head.joints(state.expression)
        row[JOINT_ROTATIONS.value : JOINT_CENTRES.value] = joints.rotations.reshape(-1)
        row[JOINT_CENTRES.value : SHARE.value] = joints.centres.reshape(-1)
        end = EXPRESSION.value + len(state.expression)
        row[end : end + len(joints.correctives)] = joints.correctives

    def _fill_view(self, row: FloatArray, frame: FrameInput) -> None:
        row[SHARE.value] = frame.share
        harmonics = channel_scale(frame.conditioning, COLOUR_CHANNELS + BASES)[COLOUR_CHANNELS:]
        row[HARMONICS.value : CONDITIONING.value] = harmonics
        end = CONDITIONING.value + len(frame.conditioning)
        row[CONDITIONING.value : end] = frame.conditioning
