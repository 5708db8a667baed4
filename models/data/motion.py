"""Generate the motion of a dataset: head poses, views and expressions, recorded or random.

A sequence is about a second of smooth motion; each sequence starts from new random values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import radians
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.data.recordings import RecordingError as RecordingError
from models.data.recordings import load_recording
from models.geometry.camera import look_at, quaternion_to_matrix, rotation_vector_to_quaternion
from models.geometry.smoothstep import smoothstep

Floats = NDArray[np.float64]
Kind = Literal["recorded", "random", "calm"]

FPS = 30
"""Frame rate of datasets."""
_SAME_RATE = 0.02
"""Difference of rates, as a share, below which rows are frames: 29.97 is 30."""
_MOST_FRAMES = 1_000_000
"""Maximum length of a recording: nine hours."""

_LOOK_DIRECTIONS = {
    "LookOutLeft": (0, 1),
    "LookInRight": (0, 1),
    "LookInLeft": (0, -1),
    "LookOutRight": (0, -1),
    "LookUpLeft": (1, 1),
    "LookUpRight": (1, 1),
    "LookDownLeft": (1, -1),
    "LookDownRight": (1, -1),
}
"""Axis of the glance (0 to the left, 1 up) and its sign, by ARKit's coefficient."""
_CLOSING_FRAMES, _OPENING_FRAMES = 3, 5
"""Duration of a blink at 30 frames/s: 100 ms to close, 170 ms to open again."""
_DEFAULT_VIEW_SHARE = 0.125
"""Share of sequences seen from the default view, which most viewers keep."""
# Limits of the motion of heads and viewers; angles and shifts apply in both directions.
MOST_PITCH_RAD, MOST_YAW_RAD, MOST_ROLL_RAD = radians(20), radians(35), radians(12)
MOST_SHIFT_M = (0.03, 0.02, 0.03)
"""Greatest shift of the base of the neck."""
_VIEW_YAW_RAD, _VIEW_PITCH_RAD = radians(45), radians(25)
_DISTANCES = (0.85, 1.25)
"""Least and greatest distance of the eye, as shares of the default distance."""
_AIM_M = 0.015
"""Greatest distance of the look-at point from the centre of the head."""


def read_recording(
    path: Path, names: Sequence[str], note: Callable[[str], None] = lambda _: None
) -> FloatArray:
    """Return the expressions (frames, E) of a recording, at `FPS`.

    Args:
        path: The file.
        names: Expression names of the avatar.
        note: Receives one line for each part of the file that is not used or was changed.

    Raises:
        RecordingError: If `load_recording` rejects the file, or it is too long.
    """
    recording = load_recording(path, names)
    for line in recording.notes:
        note(line)
    rows, step = len(recording.times_s), recording.fps / FPS
    if abs(step - 1) <= _SAME_RATE:
        return recording.expression
    if rows / step > _MOST_FRAMES:
        raise RecordingError(
            f"{path}: expected at most {_MOST_FRAMES} frames at {FPS} frames/s, got {rows} rows at "
            f"{recording.fps:.3g} rows/s"
        )
    note(f"{recording.fps:.3g} rows per second become {FPS} frames per second")
    # Interpolated by rows, not by times: otherwise a pause in the recording would become a slow
    # change.
    at = np.arange(0, rows - 1 + 1e-6, step)
    columns = [np.interp(at, np.arange(rows), column) for column in recording.expression.T]
    return np.stack(columns, axis=1).astype(np.float32)


def smooth_path(
    random: Generator, frames: int, channels: int, knot_frames: float, spread: float = 0.5
) -> Floats:
    """Interpolate random knots with a smoothstep, whose speed is 0 at each knot.

    Args:
        random: Random generator of the knots.
        frames: Number of frames.
        channels: Number of independent values.
        knot_frames: Frames between knots.
        spread: Standard deviation of the knots, which are clipped to -1..1.

    Returns:
        (frames, channels) in -1..1.
    """
    knots = np.clip(random.normal(0, spread, (int(frames / knot_frames) + 3, channels)), -1, 1)
    at = random.uniform(0, 1) + np.arange(frames) / knot_frames
    index = at.astype(int)
    t = (at - index)[:, None]
    ease = smoothstep(0, 1, t)
    path: Floats = knots[index] * (1 - ease) + knots[index + 1] * ease
    return path


def _blinks(random: Generator, frames: int) -> Floats:
    """Return the closure of the lids (frames,): half of the sequences have one blink."""
    if random.uniform() < 0.5:
        return np.zeros(frames)
    closed_at = random.uniform(0, frames)
    since = np.arange(frames) - closed_at
    closing = np.clip(1 + since / _CLOSING_FRAMES, 0, 1)
    opening = np.clip(1 - since / _OPENING_FRAMES, 0, 1)
    blink: Floats = np.minimum(closing, opening) * random.uniform(0.85, 1.0)
    return blink


class Expressions:
    """Generates random expressions for the coefficients of an avatar.

    Args:
        names: Expression names of the avatar.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._order = {name: index for index, name in enumerate(names)}
        sided = {name[: -len("Left")] for name in names if name.endswith("Left")}
        self._pairs = sorted(n for n in sided if f"{n}Right" in self._order and "Look" not in n)
        self._single = sorted(n for n in names if not n.endswith(("Left", "Right")))

    def random(self, random: Generator, frames: int) -> FloatArray:
        """Return mixed expressions (frames, E): a few coefficients vary, or one over all 0..1."""
        values = np.zeros((frames, len(self._order)))
        # A single coefficient in its full range shows the networks every blend shape alone.
        strong = random.uniform() < 0.3
        groups = self._pairs + self._single
        count = 1 if strong else int(random.integers(3, 8))
        chosen = random.choice(len(groups), min(count, len(groups)), replace=False)
        for number in chosen:
            level = 0.5 + 0.5 * smooth_path(random, frames, 2, 14, 0.7)
            level *= 1.0 if strong else random.uniform(0.3, 0.9)
            self._add(values, groups[number], level, random)
        self._gaze(values, random, 0.8)
        self._lids(values, _blinks(random, frames))
        return np.clip(values, 0, 1).astype(np.float32)

    def calm(self, random: Generator, frames: int) -> FloatArray:
        """Return near-neutral expressions (frames, E): blinks, glances, in half of them talking."""
        values = np.zeros((frames, len(self._order)))
        # Coefficients that people move slightly while they listen or talk.
        for name in ("mouthSmile", "browInnerUp", "eyeSquint", "mouthPress"):
            level = 0.12 + 0.12 * smooth_path(random, frames, 2, 25)
            self._add(values, name, level, random)
        if random.uniform() < 0.5:
            for name, amount in (("jawOpen", 0.35), ("mouthFunnel", 0.3), ("mouthStretch", 0.25)):
                level = amount * np.clip(0.3 + smooth_path(random, frames, 2, 4), 0, 1)
                self._add(values, name, level, random)
        self._gaze(values, random, 0.35)
        self._lids(values, _blinks(random, frames))
        return np.clip(values, 0, 1).astype(np.float32)

    def _add(self, values: Floats, name: str, level: Floats, random: Generator) -> None:
        """Add levels (frames, 2) to a left and a right coefficient, or to a single one."""
        if name in self._order:
            values[:, self._order[name]] += level[:, 0]
            return
        if random.uniform() < 0.7:
            # Most expressions are nearly symmetric.
            level = level[:, :1] * np.array([1.0, random.uniform(0.85, 1.0)])
        for side, column in (("Left", 0), ("Right", 1)):
            if name + side in self._order:
                values[:, self._order[name + side]] += level[:, column]

    def _gaze(self, values: Floats, random: Generator, amount: float) -> None:
        """Add glances: both eyes look in the same direction."""
        # Saccades: the gaze is still, then jumps within two frames.
        steps = random.uniform(-1, 1, (3, 2)) * amount
        jump = np.interp(np.arange(len(values)), *_jump_times(random, len(values)))
        index = jump.astype(int)
        t = (jump - index)[:, None]
        glance = steps[index] * (1 - t) + steps[np.minimum(index + 1, 2)] * t
        for direction, (axis, sign) in _LOOK_DIRECTIONS.items():
            name = f"eye{direction}"
            if name in self._order:
                values[:, self._order[name]] += np.maximum(sign * glance[:, axis], 0)

    def _lids(self, values: Floats, closure: Floats) -> None:
        """Close the lids by at least `closure` (frames,)."""
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            if name in self._order:
                column = self._order[name]
                # The maximum, not the sum: a lid that is closed already cannot close further.
                values[:, column] = np.maximum(values[:, column], closure)


def _jump_times(random: Generator, frames: int) -> tuple[list[float], list[float]]:
    """Return frames and indices of the gaze target, for linear interpolation: two jumps."""
    first = float(random.uniform(0, frames))
    second = first + float(random.uniform(4, frames))
    return [first, first + 2, second, second + 2], [0.0, 1.0, 1.0, 2.0]


class Motion:
    """Adds head poses and views to expressions.

    Args:
        neck: (3,) point that the head rotates about, metres.
        eye_position: (3,) eye of the default view, metres.
        fov_y_rad: Vertical field of view of all views.
    """

    def __init__(self, neck: FloatArray, eye_position: FloatArray, fov_y_rad: float) -> None:
        self._neck = neck
        self._eye_position = np.asarray(eye_position, np.float64)
        self._fov_y_rad = fov_y_rad

    def sequence(self, random: Generator, expressions: FloatArray) -> list[FrameState]:
        """Return the states of one sequence.

        Args:
            random: Random generator of all motion.
            expressions: (frames, E) coefficients.
        """
        frames = len(expressions)
        turns = smooth_path(random, frames, 3, random.uniform(10, 30))
        turns *= [MOST_PITCH_RAD, MOST_YAW_RAD, MOST_ROLL_RAD]
        shifts = smooth_path(random, frames, 3, random.uniform(15, 40)) * MOST_SHIFT_M
        eyes, targets = self._views(random, frames)
        states = []
        for i in range(frames):
            quaternion = rotation_vector_to_quaternion(turns[i])
            rotation = quaternion_to_matrix(quaternion)
            # Rotates about the neck, not about the origin of the head's coordinates.
            translation = self._neck - rotation @ self._neck + shifts[i]
            states.append(
                FrameState(
                    head_rotation=quaternion,
                    head_translation=translation.astype(np.float32),
                    expression=expressions[i],
                    eye_rotation=look_at(eyes[i], targets[i]),
                    eye_position=eyes[i].astype(np.float32),
                    fov_y_rad=self._fov_y_rad,
                )
            )
        return states

    def _views(self, random: Generator, frames: int) -> tuple[Floats, Floats]:
        """Return eye positions and look-at points, both (frames, 3), metres."""
        rest = self._eye_position
        target = np.array([0, rest[1], 0])
        if random.uniform() < _DEFAULT_VIEW_SHARE:
            return np.tile(rest, (frames, 1)), np.tile(target, (frames, 1))
        path = smooth_path(random, frames, 6, random.uniform(20, 60), 0.55)
        yaw, pitch = path[:, 0] * _VIEW_YAW_RAD, path[:, 1] * _VIEW_PITCH_RAD
        near, far = _DISTANCES
        distance = rest[2] * (near + (far - near) * (0.5 + 0.5 * path[:, 2]))
        targets = target + path[:, 3:] * _AIM_M
        direction = np.stack(
            [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1
        )
        return targets + direction * distance[:, None], targets
