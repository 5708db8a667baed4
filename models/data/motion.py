"""How the heads of a dataset move: poses, views, and expressions, recorded or made up.

A sequence is a few tenths of a second of smooth motion; between sequences everything is new.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import radians
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import look_at, quaternion_to_matrix, rotation_vector_to_quaternion

Floats = NDArray[np.float64]
Kind = Literal["recorded", "random", "calm"]

FPS = 30


class RecordingError(ValueError):
    """A recording cannot be read."""


@dataclass(frozen=True, slots=True)
class MotionLimits:
    """How far heads and viewers move."""

    yaw_rad: float = radians(35)
    pitch_rad: float = radians(20)
    roll_rad: float = radians(12)
    shift_m: tuple[float, float, float] = (0.03, 0.02, 0.03)
    """Of the neck's base, each way."""
    view_yaw_rad: float = radians(45)
    view_pitch_rad: float = radians(25)
    distance: tuple[float, float] = (0.85, 1.25)
    """Of the default distance."""
    aim_m: float = 0.015
    """How far besides the head's middle the viewer may look."""


def read_recording(path: Path, names: Sequence[str]) -> FloatArray:
    """Read a Live Link Face recording (CSV, 30 rows a second).

    Args:
        path: The file; columns are ARKit's names in PascalCase.
        names: The avatar's expression names, camelCase.

    Returns:
        (rows, E) coefficients 0..1, in the order of `names`.

    Raises:
        RecordingError: If the file is unreadable, lacks every expression, or holds no numbers.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {key[:1].lower() + key[1:]: key for key in (rows[0] if rows else {})}
        known = [name for name in names if name in columns]
        if not known:
            raise RecordingError(f"{path} names no expression of this head")
        values = np.zeros((len(rows), len(names)), np.float32)
        for name in known:
            values[:, list(names).index(name)] = [float(row[columns[name]]) for row in rows]
    except (OSError, ValueError, TypeError) as exc:
        raise RecordingError(f"{path} is not a readable recording: {exc}") from exc
    if not np.isfinite(values).all():
        raise RecordingError(f"{path} has values that are not finite")
    return np.clip(values, 0, 1)


def smooth_path(
    random: Generator, frames: int, channels: int, knot_frames: float, spread: float = 0.5
) -> Floats:
    """A wandering path through random knots, gentle at each.

    Args:
        random: Source of the knots.
        frames: Length of the path, one value a frame.
        channels: Independent values.
        knot_frames: Frames from knot to knot.
        spread: Standard deviation of the knots; they are held within -1..1.

    Returns:
        (frames, channels) in -1..1.
    """
    knots = np.clip(random.normal(0, spread, (int(frames / knot_frames) + 3, channels)), -1, 1)
    at = random.uniform(0, 1) + np.arange(frames) / knot_frames
    index = at.astype(int)
    t = (at - index)[:, None]
    ease = t * t * (3 - 2 * t)
    path: Floats = knots[index] * (1 - ease) + knots[index + 1] * ease
    return path


def _blinks(random: Generator, frames: int) -> Floats:
    """(frames,) lid closure; every other sequence has a blink, some cut off by its end."""
    if random.uniform() < 0.5:
        return np.zeros(frames)
    moment = random.uniform(0, frames)
    since = np.arange(frames) - moment
    closing = np.clip(1 + since / 3, 0, 1)  # shut within 3 frames, open again within 5
    opening = np.clip(1 - since / 5, 0, 1)
    blink: Floats = np.minimum(closing, opening) * random.uniform(0.85, 1.0)
    return blink


class Expressions:
    """Makes up expressions for an avatar's coefficients.

    Args:
        names: The avatar's expression names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._order = {name: index for index, name in enumerate(names)}
        sided = {name[: -len("Left")] for name in names if name.endswith("Left")}
        self._pairs = sorted(n for n in sided if f"{n}Right" in self._order and "Look" not in n)
        self._single = sorted(n for n in names if not n.endswith(("Left", "Right")))

    def random(self, random: Generator, frames: int) -> FloatArray:
        """Mixed faces: a few coefficients wander, or a single one goes all the way."""
        values = np.zeros((frames, len(self._order)))
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
        """Near neutral: blinks, glances, and in half of the sequences quiet talking."""
        values = np.zeros((frames, len(self._order)))
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
        """Add (frames, 2) levels to a pair of coefficients, alike or not, or to a single one."""
        if name in self._order:
            values[:, self._order[name]] += level[:, 0]
            return
        if random.uniform() < 0.7:
            level = level[:, :1] * np.array([1.0, random.uniform(0.85, 1.0)])
        for side, column in (("Left", 0), ("Right", 1)):
            if name + side in self._order:
                values[:, self._order[name + side]] += level[:, column]

    def _gaze(self, values: Floats, random: Generator, amount: float) -> None:
        """Both eyes glance the same way."""
        # Saccades: nearly still, then a jump within two frames.
        steps = random.uniform(-1, 1, (3, 2)) * amount
        jump = np.interp(np.arange(len(values)), *_jump_times(random, len(values)))
        index = jump.astype(int)
        t = (jump - index)[:, None]
        glance = steps[index] * (1 - t) + steps[np.minimum(index + 1, 2)] * t
        for direction, level in (
            ("LookOutLeft", glance[:, 0]),
            ("LookInRight", glance[:, 0]),
            ("LookInLeft", -glance[:, 0]),
            ("LookOutRight", -glance[:, 0]),
            ("LookUpLeft", glance[:, 1]),
            ("LookUpRight", glance[:, 1]),
            ("LookDownLeft", -glance[:, 1]),
            ("LookDownRight", -glance[:, 1]),
        ):
            name = f"eye{direction}"
            if name in self._order:
                values[:, self._order[name]] += np.maximum(level, 0)

    def _lids(self, values: Floats, closure: Floats) -> None:
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            if name in self._order:
                column = self._order[name]
                values[:, column] = np.maximum(values[:, column], closure)


def _jump_times(random: Generator, frames: int) -> tuple[list[float], list[float]]:
    first = float(random.uniform(0, frames))
    second = first + float(random.uniform(4, frames))
    return [first, first + 2, second, second + 2], [0.0, 1.0, 1.0, 2.0]


class Motion:
    """Turns expressions into moving heads seen by a moving viewer.

    Args:
        neck: (3,) point that heads turn about.
        eye_position: (3,) of the default view.
        fov_y_rad: Of all views.
        limits: How far things move.
    """

    def __init__(
        self,
        neck: FloatArray,
        eye_position: FloatArray,
        fov_y_rad: float,
        limits: MotionLimits | None = None,
    ) -> None:
        self._neck = neck
        self._eye_position = np.asarray(eye_position, np.float64)
        self._fov_y_rad = fov_y_rad
        self._limits = limits or MotionLimits()

    def sequence(self, random: Generator, expressions: FloatArray) -> list[FrameState]:
        """States of one sequence.

        Args:
            random: Source of all motion.
            expressions: (frames, E) coefficients.
        """
        frames = len(expressions)
        limits = self._limits
        turns = smooth_path(random, frames, 3, random.uniform(10, 30))
        turns *= [limits.pitch_rad, limits.yaw_rad, limits.roll_rad]
        shifts = smooth_path(random, frames, 3, random.uniform(15, 40)) * limits.shift_m
        eyes, targets = self._views(random, frames)
        states = []
        for i in range(frames):
            quaternion = rotation_vector_to_quaternion(turns[i])
            rotation = quaternion_to_matrix(quaternion)
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
        """Eye positions and targets (frames, 3). One in eight is the default view, held still."""
        rest = self._eye_position
        target = np.array([0, rest[1], 0])
        if random.uniform() < 0.125:
            return np.tile(rest, (frames, 1)), np.tile(target, (frames, 1))
        limits = self._limits
        path = smooth_path(random, frames, 6, random.uniform(20, 60), 0.55)
        yaw, pitch = path[:, 0] * limits.view_yaw_rad, path[:, 1] * limits.view_pitch_rad
        near, far = limits.distance
        distance = rest[2] * (near + (far - near) * (0.5 + 0.5 * path[:, 2]))
        targets = target + path[:, 3:] * limits.aim_m
        direction = np.stack(
            [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=1
        )
        return targets + direction * distance[:, None], targets
