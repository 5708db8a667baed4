"""Checks of a video before processing, with findings for its maker.

Limits without a source were chosen on a real clip that works, on darkened, blurred and shortened
copies of it, and on rendered videos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.capture.clip import Clip
from models.capture.errors import VideoError, WeakVideoError
from models.capture.tracker import FaceTracker, Track
from models.contract.images import RgbImage

SAMPLES = 32
"""Frames of the inspection, spread evenly over the video."""
SHORTEST_S = 8.0
LEAST_FACE_PX = 60.0
_LOST_SHARE = 0.3
"""Share of frames without a face from which on a video is refused."""
_TWO_FACES_SHARE = 0.15
_DARK, _BRIGHT = 45.0, 235.0
"""Median luma of the face, 0..255, outside of which it shows no detail."""
_FACE_SIDE = 128
"""Rows and columns at which the sharpness of a face is measured."""
LEAST_SHARPNESS = 0.055
"""Least ratio of the finest details of a face to its contrast; a blur of 2 % of the face's width
gives less."""
_BLURRED_SHARE = 0.5
LEAST_TURN_DEG = 18.0
"""Least range of the head's yaw, 2nd to 98th percentile."""
EXPRESSIONS = {
    "open the mouth": (("jawOpen",), 0.25),
    "blink": (("eyeBlinkLeft", "eyeBlinkRight"), 0.4),
    "smile": (("mouthSmileLeft", "mouthSmileRight"), 0.25),
    "raise the eyebrows": (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.25),
    "purse the lips": (("mouthPucker", "mouthFunnel"), 0.3),
}
"""Expressions that a video should show: coefficients of which one should rise by this much."""
_MOST_MISSING = 2
"""A video that shows fewer of `EXPRESSIONS` than all but these is refused."""
_THUMBNAIL = (32, 24)
_CUT_LEVELS, _CUT_RATIO = 12.0, 8.0
"""A cut changes the thumbnail by more than this many levels, and than this times the usual."""
_JUMP = 0.15
"""A cut within one scene moves the face in one frame by this much of its width more than in the two
frames before and after. Fast motion lasts for several frames: 0.12 in the clip of the tests."""
_JUMP_AROUND = 2


Severity = Literal["note", "weak", "useless"]


class Finding(NamedTuple):
    """A property of a video that its maker should know."""

    text: str
    severity: Severity
    """A "note" requires no action; "weak" gives a poor avatar and is refused unless requested;
    "useless" allows no avatar."""


class Sample(NamedTuple):
    """One inspected frame."""

    faces: int
    width_px: float
    luma: float
    sharpness: float
    """Ratio of the face's finest details to its contrast, see `sharpness`."""


def inspect(clip: Clip, tracker: FaceTracker, advance: Callable[[float], None]) -> list[Finding]:
    """Look at frames spread over a video.

    Args:
        clip: The video.
        tracker: Opened for images, of up to two faces.
        advance: Called with the finished share.
    """
    findings = _facts(clip)
    samples = []
    for frame in clip.frames(step=max(1, clip.count // SAMPLES)):
        samples.append(_sample(tracker, frame.rgb))
        advance(min(1.0, (frame.number + 1) / clip.count))
    return [*findings, *judge_samples(samples)]


def _facts(clip: Clip) -> list[Finding]:
    """Return findings from the metadata of the file alone."""
    info, findings = clip.info, []
    if info.seconds < SHORTEST_S:
        findings.append(
            Finding(
                f"The video lasts {info.seconds:.1f} s; expected at least {SHORTEST_S:.0f} s, "
                "better a minute.",
                "weak",
            )
        )
    if info.rotation_deg:
        findings.append(
            Finding(f"The video is turned upright by {info.rotation_deg} degrees.", "note")
        )
    if info.height > info.width:
        findings.append(Finding("The video is in portrait format.", "note"))
    if info.variable_rate:
        findings.append(
            Finding(
                "The frame rate varies: each frame is used at its own time, but motion is trained "
                "best at a constant rate.",
                "note",
            )
        )
    return findings


def _sample(tracker: FaceTracker, rgb: RgbImage) -> Sample:
    faces = tracker.faces(rgb)
    if not faces:
        return Sample(0, 0.0, 0.0, 0.0)
    face = face_image(rgb, faces[0].landmarks)
    luma = np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8)
    return Sample(
        len(faces),
        float(np.ptp(faces[0].landmarks[:, 0])),
        float(np.median(luma)),
        sharpness(luma),
    )


def face_image(rgb: RgbImage, landmarks: NDArray[np.float32]) -> RgbImage:
    """Return the bounding box of a face, scaled to `_FACE_SIDE` pixels a side."""
    low = np.clip(landmarks.min(axis=0), 0, None).astype(int)
    high = np.minimum(landmarks.max(axis=0), (rgb.shape[1], rgb.shape[0])).astype(int)
    part = rgb[low[1] : max(high[1], low[1] + 2), low[0] : max(high[0], low[0] + 2)]
    scaled = cv2.resize(part, (_FACE_SIDE, _FACE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(scaled, np.uint8)


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return the ratio of the finest details of a face image to its contrast.

    The deviation of the Laplacian grows with noise and contrast too; divided by the deviation of
    the image it hardly depends on the light.
    """
    image = luma.astype(np.float32)
    # Smoothed first, because the noise of single pixels would count as details.
    fine = cv2.Laplacian(cv2.GaussianBlur(image, (0, 0), 1.0), cv2.CV_32F)
    return float(fine.std() / max(float(image.std()), 1.0))


def judge_samples(samples: Sequence[Sample]) -> list[Finding]:
    """Return the findings in the sampled frames."""
    counts = np.array([sample.faces for sample in samples])
    shown = [sample for sample in samples if sample.faces]
    if not shown or (counts == 0).mean() > _LOST_SHARE:
        # The other findings would describe the few frames that show a face, and hide the cause.
        lost = f"{(counts == 0).sum()} of {len(samples)}"
        return [
            Finding(
                f"No face was found in {lost} frames looked at; film one head from the front.",
                "useless",
            )
        ]
    findings = []
    if (counts > 1).mean() > _TWO_FACES_SHARE:
        findings.append(
            Finding(
                f"Two faces were found in {(counts > 1).sum()} of {len(samples)} frames looked at; "
                "film one person alone.",
                "weak",
            )
        )
    width = float(np.median([sample.width_px for sample in shown]))
    if width < LEAST_FACE_PX:
        findings.append(
            Finding(
                f"The face is {width:.0f} pixels wide; expected at least {LEAST_FACE_PX:.0f}. "
                "Come closer or film at a higher resolution.",
                "weak",
            )
        )
    findings += _light(shown)
    blurred = np.mean([sample.sharpness < LEAST_SHARPNESS for sample in shown])
    if blurred > _BLURRED_SHARE:
        findings.append(
            Finding(
                f"The face is blurred in {blurred:.0%} of the frames looked at; clean the lens, "
                "focus on the face, and use more light.",
                "weak",
            )
        )
    return findings


def _light(shown: Sequence[Sample]) -> list[Finding]:
    luma = float(np.median([sample.luma for sample in shown]))
    if luma < _DARK:
        text = f"The face is too dark (brightness {luma:.0f} of 255, expected {_DARK:.0f} or more)"
        return [Finding(f"{text}; turn to a window or a lamp.", "weak")]
    if luma > _BRIGHT:
        text = f"The face is too bright (brightness {luma:.0f} of 255)"
        return [Finding(f"{text}; leave the direct light.", "weak")]
    return []


def thumbnail(rgb: RgbImage) -> NDArray[np.uint8]:
    """Return a tiny copy of a frame, for `find_cuts`."""
    return np.asarray(cv2.resize(rgb, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.uint8)


def find_cuts(thumbnails: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Return the frames that show another scene than the frame before."""
    change = np.abs(np.diff(np.array(thumbnails, np.float32), axis=0)).mean(axis=(1, 2, 3))
    # Relative to the usual change, because a moving camera changes every frame.
    limit = max(_CUT_LEVELS, _CUT_RATIO * float(np.median(change)))
    return [int(frame) + 1 for frame in np.nonzero(change > limit)[0]]


def find_jumps(track: Track) -> list[int]:
    """Return the frames in which the face is suddenly elsewhere: cuts between similar images."""
    if not track.found.any():
        return []
    moved = np.linalg.norm(np.diff(track.landmarks, axis=0), axis=2).mean(axis=1)
    # A face that is lost and found again does not count as a jump.
    moved = np.nan_to_num(moved) / max(float(np.median(track.face_widths())), 1.0)
    around = np.pad(moved, _JUMP_AROUND)
    others = [d for d in range(2 * _JUMP_AROUND + 1) if d != _JUMP_AROUND]
    usual = np.max([around[d : d + len(moved)] for d in others], axis=0)
    return [int(frame) + 1 for frame in np.nonzero(moved - usual > _JUMP)[0]]


def judge_track(
    track: Track, names: Sequence[str], fps: float, cuts: Sequence[int]
) -> list[Finding]:
    """Return the findings in a tracked video."""
    findings = []
    if cuts:
        at = ", ".join(f"{cut / fps:.1f} s" for cut in cuts[:3])
        findings.append(Finding(f"The scene is cut at {at}; use one take, without cuts.", "weak"))
    lost = 1 - float(track.found.mean())
    if lost > _LOST_SHARE:
        findings.append(
            Finding(f"The face was lost in {lost:.0%} of the frames; keep it in view.", "useless")
        )
        return findings
    turn = yaw_range_deg(track)
    if turn < LEAST_TURN_DEG:
        findings.append(
            Finding(
                f"The head turns by {turn:.0f} degrees in all; expected at least "
                f"{LEAST_TURN_DEG:.0f}. Look slowly to both sides.",
                "weak",
            )
        )
    missing = missing_expressions(track, names)
    if missing:
        findings.append(_describe_missing(missing))
    return findings


def _describe_missing(missing: Sequence[str]) -> Finding:
    """Return the findings about expressions that a video does not show."""
    named = " or ".join([", ".join(missing[:-1]), missing[-1]] if missing[1:] else missing)
    never = f"The face never seems to {named}"
    if len(missing) <= _MOST_MISSING:
        return Finding(f"{never}: the avatar will guess these.", "note")
    return Finding(
        f"{never}; expected all but {_MOST_MISSING} of {len(EXPRESSIONS)}. Film these too, as "
        "clearly as for someone across a room.",
        "weak",
    )


def yaw_range_deg(track: Track) -> float:
    """Return the range of the head's turn to the sides, 2nd to 98th percentile."""
    forward = track.rotations[track.found][:, :, 2]
    yaw = np.degrees(np.arctan2(forward[:, 0], forward[:, 2]))
    low, high = np.percentile(yaw, (2, 98))
    return float(high - low)


def missing_expressions(track: Track, names: Sequence[str]) -> list[str]:
    """Return which of `EXPRESSIONS` a video does not show."""
    values = track.coefficients[track.found]
    # A blink fills a few frames of a clip, so nearly the maximum; a relaxed face has coefficients
    # above 0, so from a low percentile.
    ranges = np.percentile(values, 99.5, axis=0) - np.percentile(values, 5, axis=0)
    known = dict(zip(names, ranges, strict=True))
    return [
        what
        for what, (members, least) in EXPRESSIONS.items()
        if max(float(known.get(name, 0.0)) for name in members) < least
    ]


def refuse(findings: Sequence[Finding], *, weak_too: bool) -> None:
    """Raise an error if the findings do not allow to use a video.

    Raises:
        VideoError: If it is useless.
        WeakVideoError: If it is only weak, and `weak_too`.
    """
    refused = {"useless", "weak"} if weak_too else {"useless"}
    against = [finding for finding in findings if finding.severity in refused]
    if against:
        useless = any(finding.severity == "useless" for finding in against)
        error = VideoError if useless else WeakVideoError
        raise error(" ".join(finding.text for finding in against))
