"""Expected poses of head and eye shortly from now, from those of the last tenth of a second.

A full render takes several frames, and its cache is used for several more. Rendered for the poses
that are expected when it is done, it is nearer to the frames that are warped from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import NamedTuple

import numpy as np

from models.contract.frame_state import FloatArray, FrameState

WINDOW_S = 0.1
"""Poses older than this say nothing about the velocity, and after a pause as long as this the
movement has ended. Three frames of a camera at 30 frames/s."""
SPAN_S = 0.025
"""Shortest time to measure a velocity over: between poses of a mouse or a headset, a few ms apart,
noise would be most of it. Below the interval of a camera, whose frames arrive unevenly."""
MAX_AHEAD_S = 0.2
"""Poses are expected no further ahead: people begin, end and reverse movements within this time."""
MAX_TURN_RAD, MAX_MOVE_M = 0.3, 0.1
"""Maximum rotation and distance from the newest pose to the expected one."""
CUT_RAD_S, CUT_M_S = 12.0, 4.0
"""No head moves faster: the poses are of different people or places, so the velocity is unknown."""


class TimedPose(NamedTuple):
    """A rigid pose and when it was received."""

    at_s: float
    """Seconds of a monotonic clock."""
    rotation: FloatArray
    """(4,) unit quaternion `[x, y, z, w]`."""
    position: FloatArray
    """(3,) metres."""


def expected_state(
    state: FrameState,
    heads: Sequence[TimedPose],
    eyes: Sequence[TimedPose],
    now_s: float,
    ahead_s: float,
) -> FrameState:
    """Return the state that is expected `ahead_s` seconds from now.

    Expressions stay as they are: measured on a talking head, caches gain nothing by more.

    Args:
        state: What is shown now.
        heads: The last poses of its head, the newest last. Without any, or if the newest is not
            that of `state`, the head stays where it is.
        eyes: The last poses of the viewer's eye, the newest last. Without any, or if the newest is
            not that of `state`, the eye stays where it is.
        now_s: The time.
        ahead_s: How far ahead.

    Returns:
        `state` itself where neither moves; arrays of what does not move are the same.
    """
    if heads and heads[-1].rotation is state.head_rotation:
        head = expected_pose(heads, now_s, ahead_s)
        if head is not heads[-1]:
            state = replace(state, head_rotation=head.rotation, head_translation=head.position)
    if eyes and eyes[-1].rotation is state.eye_rotation:
        eye = expected_pose(eyes, now_s, ahead_s)
        if eye is not eyes[-1]:
            state = replace(state, eye_rotation=eye.rotation, eye_position=eye.position)
    return state


def expected_pose(poses: Sequence[TimedPose], now_s: float, ahead_s: float) -> TimedPose:
    """Return the pose that is expected `ahead_s` seconds from now.

    Args:
        poses: At least one, the newest last.
        now_s: The time.
        ahead_s: How far ahead.

    Returns:
        The newest pose where nothing moves.
    """
    newest = poses[-1]
    if now_s - newest.at_s > WINDOW_S:
        return newest
    # Backwards: the shortest time that is long enough follows a change of the velocity soonest.
    earlier = next((pose for pose in reversed(poses) if newest.at_s - pose.at_s >= SPAN_S), None)
    if earlier is None or newest.at_s - earlier.at_s > WINDOW_S:
        return newest
    return _continued(earlier, newest, min(now_s - newest.at_s + ahead_s, MAX_AHEAD_S))


def _continued(earlier: TimedPose, newest: TimedPose, seconds: float) -> TimedPose:
    """Continue the movement from one pose to another for some seconds."""
    elapsed_s = newest.at_s - earlier.at_s
    move = newest.position - earlier.position
    # A quaternion and its negative are the same rotation. Of equal signs, the length of their
    # difference is half the angle between them, for angles as small as these.
    same_sign = float(newest.rotation @ earlier.rotation) >= 0
    turn = newest.rotation - (earlier.rotation if same_sign else -earlier.rotation)
    moved_m, turned_rad = _length(move), 2 * _length(turn)
    if moved_m > CUT_M_S * elapsed_s or turned_rad > CUT_RAD_S * elapsed_s:
        return newest
    if moved_m:
        share = np.float32(min(seconds / elapsed_s, MAX_MOVE_M / moved_m))
        newest = newest._replace(position=newest.position + move * share)
    if turned_rad:
        share = np.float32(min(seconds / elapsed_s, MAX_TURN_RAD / turned_rad))
        rotation = newest.rotation + turn * share
        rotation /= np.float32(_length(rotation))
        newest = newest._replace(rotation=rotation)
    return newest


def _length(vector: FloatArray) -> float:
    return sqrt(float(vector @ vector))
