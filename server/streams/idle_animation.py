"""The idle animation: natural small movements of a face while its stream has no publisher.

A face depends only on the seed and the time, so any frame can be computed without the frames before
it. Irregular events are placed on a grid of time cells: each cell of an event draws its own random
numbers and contains at most one event.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import atan2, pi, sin

import numpy as np
from numpy.typing import NDArray

from server.protocol.states import MeshState
from server.streams.head_pose import head_rotation, neck_fixed
from server.streams.streams import LIVE_HOLD_S, Stream

Floats = NDArray[np.float32]

EYE_YAW_RAD, EYE_PITCH_RAD = 0.37, 0.30
"""Rotation of an eye at `eyeLook*` = 1; measured on the shipped head."""
EYE_OFFSET_M, VIEWER_M = 0.031, 0.75
"""Distance from the midline to an eye and from the eyes to the viewer, on whom both converge."""

BLINK_CELL_S, BLINK_CLOSE_S, BLINK_OPEN_S = 3.9, 0.12, 0.18
DOUBLE_BLINK = 0.14
"""Fraction of blinks that a second one follows."""
GAZE_CELL_S, SACCADE_S, HEAD_FOLLOWS_S = 1.3, 0.05, 0.7
SMILE_CELL_S, SMILE_RISE_S, SMILE_HOLD_S, SMILE_FALL_S = 13.0, 0.9, 2.2, 1.8
BREATH_S = 4.3
RESUME_BLEND_S = 1.0
"""Duration of the blend from a publisher's last mesh frame to the animation."""
UNWATCHED_INTERVAL_S = 0.2
"""Interval between frames while there is no viewer."""


@dataclass(frozen=True, eq=False)
class Face:
    """Head pose and expression at one time. Quaternions [x, y, z, w], metres."""

    head_rotation: Floats
    """(4,), head to world."""
    head_translation: Floats
    """(3,) metres."""
    expression: Mapping[str, float]
    """Coefficients 0..1 by ARKit name; missing ones are 0."""


class IdleAnimation:
    """Animates a relaxed face.

    Args:
        seed: Selects the random movements.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def at(self, time_s: float) -> Face:
        """Return the face at a time of at least 0 seconds."""
        gaze = self._gaze(time_s, SACCADE_S)
        follow = self._gaze(time_s, HEAD_FOLLOWS_S)
        yaw, pitch, roll = self._head_angles(time_s)
        yaw, pitch = yaw + 0.2 * follow[0], pitch + 0.15 * follow[1]
        rotation = head_rotation(yaw, pitch, roll)
        # The eyes compensate for the rotation of the head, so that the gaze stays on its target.
        eyes = gaze[0] - yaw, gaze[1] - pitch
        smile = self._smile(time_s)
        expression = {
            **_eye_look(*eyes),
            **self._drift(time_s),
            **_smile_coefficients(smile, self._slow(time_s, 9)),
        }
        blink = self._blink(time_s)
        expression["eyeBlinkLeft"] = expression["eyeBlinkRight"] = max(blink, 0.04)
        return Face(rotation, self._translation(time_s, rotation), expression)

    def _head_angles(self, time_s: float) -> tuple[float, float, float]:
        """Return yaw, pitch and roll in radians, without the part that follows the gaze."""
        breath = 0.004 * sin(2 * pi * time_s / BREATH_S)
        yaw = 0.085 * self._slow(time_s, 1)
        pitch = 0.040 * self._slow(time_s, 2) + breath
        roll = 0.030 * self._slow(time_s, 3)
        return yaw, pitch, roll

    def _translation(self, time_s: float, rotation: Floats) -> Floats:
        """Return (3,) that fixes the base of the neck, apart from sway and breathing; metres."""
        breath = 0.5 + 0.5 * sin(2 * pi * time_s / BREATH_S - 0.6)
        sway = 0.002 * self._slow(time_s, 4), 0.0018 * breath, 0.003 * self._slow(time_s, 5)
        return neck_fixed(rotation, sway)

    def _slow(self, time_s: float, channel: int) -> float:
        """Return smooth noise in -1..1 without a period: a sum of incommensurable sines."""
        phases = _random_numbers(self._seed, "slow", channel)
        rate = 0.85 + 0.3 * phases[3]
        return (
            0.55 * sin(2 * pi * (0.071 * rate * time_s + phases[0]))
            + 0.30 * sin(2 * pi * (0.173 * rate * time_s + phases[1]))
            + 0.15 * sin(2 * pi * (0.389 * rate * time_s + phases[2]))
        )

    def _blink(self, time_s: float) -> float:
        """Return how far the eyelids are closed, 0..1."""
        closed = 0.0
        for cell in _cells_around(time_s, BLINK_CELL_S):
            begin, again, gap, depth = _random_numbers(self._seed, "blink", cell)
            began_s = (cell + 0.1 + 0.75 * begin) * BLINK_CELL_S
            closed = max(closed, (0.92 + 0.08 * depth) * _eyelid_closure(time_s - began_s))
            if again < DOUBLE_BLINK:
                second_s = began_s + BLINK_CLOSE_S + BLINK_OPEN_S + 0.05 + 0.1 * gap
                closed = max(closed, 0.9 * _eyelid_closure(time_s - second_s))
        return closed

    def _gaze(self, time_s: float, turn_s: float) -> tuple[float, float]:
        """Return yaw and pitch of the gaze in the world, radians; a turn takes `turn_s`."""
        cell = int(time_s // GAZE_CELL_S)
        begin = _random_numbers(self._seed, "gaze start", cell)[0]
        began_s = (cell + 0.3 * begin) * GAZE_CELL_S
        share = _minimum_jerk((time_s - began_s) / turn_s)
        (yaw_from, pitch_from), (yaw_to, pitch_to) = self._target(cell - 1), self._target(cell)
        return (
            yaw_from + share * (yaw_to - yaw_from),
            pitch_from + share * (pitch_to - pitch_from),
        )

    def _target(self, cell: int) -> tuple[float, float]:
        """Return the gaze target of a cell: mostly the viewer, sometimes a point to the side."""
        where, across, up, _ = _random_numbers(self._seed, "gaze", cell)
        if where < 0.78 or cell < 1:
            # People look at the eyes and the mouth in turn, not at a single point.
            return 0.02 * (across - 0.5) * 2, 0.02 * (up - 0.5) * 2
        side = 1 if across < 0.5 else -1
        return side * (0.12 + 0.14 * abs(2 * across - 1)), 0.12 * (up - 0.35)

    def _smile(self, time_s: float) -> float:
        """Return the strength of the smile, 0..1."""
        smile = 0.0
        for cell in _cells_around(time_s, SMILE_CELL_S):
            begin, whether, strength, length = _random_numbers(self._seed, "smile", cell)
            if whether < 0.6:
                began_s = (cell + 0.15 + 0.4 * begin) * SMILE_CELL_S
                hold_s = SMILE_HOLD_S * (0.6 + 0.8 * length)
                pulse = _pulse(time_s - began_s, SMILE_RISE_S, hold_s, SMILE_FALL_S)
                smile = max(smile, (0.6 + 0.4 * strength) * pulse)
        return smile

    def _drift(self, time_s: float) -> dict[str, float]:
        """Return coefficients of the slight, slow movements of a face at rest."""
        brow, mouth, jaw = (0.5 + 0.5 * self._slow(time_s, channel) for channel in (6, 7, 8))
        return {
            "browInnerUp": 0.10 * brow,
            "browOuterUpLeft": 0.07 * brow,
            "browOuterUpRight": 0.05 * brow,
            "browDownLeft": 0.04 * (1 - brow),
            "browDownRight": 0.05 * (1 - brow),
            "mouthPressLeft": 0.09 * mouth,
            "mouthPressRight": 0.08 * mouth,
            "mouthRollLower": 0.06 * (1 - mouth),
            "mouthShrugLower": 0.05 * mouth,
            "jawOpen": 0.018 * jaw,
        }


def _eye_look(yaw: float, pitch: float) -> dict[str, float]:
    """Return coefficients that rotate both eyes; radians in head space, yaw to the face's left."""
    inwards = atan2(EYE_OFFSET_M, VIEWER_M)
    left, right = (yaw - inwards) / EYE_YAW_RAD, (yaw + inwards) / EYE_YAW_RAD
    down = pitch / EYE_PITCH_RAD
    return {
        "eyeLookOutLeft": _unit(left),
        "eyeLookInLeft": _unit(-left),
        "eyeLookInRight": _unit(right),
        "eyeLookOutRight": _unit(-right),
        "eyeLookDownLeft": _unit(down),
        "eyeLookDownRight": _unit(down),
        "eyeLookUpLeft": _unit(-down),
        "eyeLookUpRight": _unit(-down),
    }


def _smile_coefficients(smile: float, lean: float) -> dict[str, float]:
    """Return coefficients of a smile that is slightly asymmetric."""
    return {
        "mouthSmileLeft": smile * (0.36 + 0.04 * lean),
        "mouthSmileRight": smile * (0.36 - 0.04 * lean),
        "cheekSquintLeft": 0.22 * smile,
        "cheekSquintRight": 0.22 * smile,
        "eyeSquintLeft": 0.16 * smile,
        "eyeSquintRight": 0.16 * smile,
        "mouthDimpleLeft": 0.10 * smile,
        "mouthDimpleRight": 0.10 * smile,
    }


def _eyelid_closure(since_s: float) -> float:
    """Return how far the eyelids are closed at a time after the start of a blink, 0..1."""
    return _pulse(since_s, BLINK_CLOSE_S, 0.0, BLINK_OPEN_S)


def _pulse(since_s: float, rise_s: float, hold_s: float, fall_s: float) -> float:
    """Return a smooth pulse that rises from 0 to 1, holds and falls back to 0."""
    return _minimum_jerk(since_s / rise_s) * (
        1 - _minimum_jerk((since_s - rise_s - hold_s) / fall_s)
    )


def _minimum_jerk(share: float) -> float:
    """Interpolate from 0 to 1 without velocity or acceleration at the ends (minimum jerk)."""
    x = _unit(share)
    return x * x * x * (x * (6 * x - 15) + 10)


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _cells_around(time_s: float, cell_s: float) -> Iterable[int]:
    """Return the cell at a time and the one before, whose event may extend into it."""
    cell = int(time_s // cell_s)
    return (cell - 1, cell) if cell else (cell,)


@lru_cache(maxsize=256)
def _random_numbers(seed: int, event: str, cell: int) -> tuple[float, float, float, float]:
    """Return the four random numbers in 0..1 of a cell."""
    generator = random.Random(f"{seed} {event} {cell}")
    return generator.random(), generator.random(), generator.random(), generator.random()


def to_mesh(face: Face, names: tuple[str, ...], seq: int) -> MeshState:
    """Convert a face to a mesh frame with the expressions `names` of an avatar."""
    coefficients = [face.expression.get(name, 0.0) for name in names]
    return MeshState(
        seq=seq,
        captured_at_ms=None,
        received_at=time.monotonic(),
        head_rotation=face.head_rotation,
        head_translation=face.head_translation,
        expression=np.array(coefficients, np.float32),
    )


def blend(before: MeshState, after: MeshState, share: float) -> MeshState:
    """Interpolate mesh frames: `share` 0 gives the pose of `before`, 1 that of `after`."""
    if share >= 1 or before.vertices is not None:
        return after
    towards = after.head_rotation
    if float(before.head_rotation @ towards) < 0:
        towards = -towards  # the same rotation; interpolates along the shorter arc
    rotation = before.head_rotation + share * (towards - before.head_rotation)
    return MeshState(
        seq=after.seq,
        captured_at_ms=after.captured_at_ms,
        received_at=after.received_at,
        head_rotation=np.asarray(rotation / np.linalg.norm(rotation), np.float32),
        head_translation=_between(before.head_translation, after.head_translation, share),
        expression=_between(before.expression, after.expression, share),
    )


def _between(before: Floats, after: Floats, share: float) -> Floats:
    return np.asarray(before + share * (after - before), np.float32)


async def run_idle_animation(stream: Stream, fps: float) -> None:
    """Animate a stream whenever no publisher controls it, until it is deleted.

    `LIVE_HOLD_S` after a publisher's last mesh frame, the animation blends in from that frame.
    """
    animation = IdleAnimation()
    began = time.monotonic()
    seq = 0
    while not stream.deleted:
        if not stream.is_live:
            seq += 1
            now = time.monotonic()
            mesh = to_mesh(animation.at(now - began), stream.avatar.expression_names, seq)
            if stream.live is not None:
                resumed_s = now - stream.live.received_at - LIVE_HOLD_S
                mesh = blend(stream.live, mesh, _minimum_jerk(resumed_s / RESUME_BLEND_S))
            stream.publish_idle(mesh)
        await asyncio.sleep(1 / fps if stream.watchers else UNWATCHED_INTERVAL_S)
