"""A "phone video" that the studio renders of the shipped head, with known poses and expressions.

The head has no hair: a fringe hides the forehead, from which MediaPipe tells how far a head nods.
With the bob of the shipped head, fitted heads nod half as far as the rendered ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.avatar.folder import SHIPPED
from models.avatar.manifest import load_manifest
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.head import Head
from models.geometry.head_file import load_head
from models.studio.materials import MATERIALS
from models.studio.strands import HAIR
from models.studio.studio import load_studio

Bytes = NDArray[np.uint8]

HEAD = SHIPPED / "default" / "head.npz"
FRAMES, SIZE = 24, 320
MOUTH, BLINK, SMILE = "jawOpen", "eyeBlinkLeft", "mouthSmileLeft"


@dataclass(frozen=True)
class PhoneVideo:
    """The video and its ground truth."""

    path: Path
    states: list[FrameState]
    frames: list[Bytes]


def acted_states(head: Head, neutral: FrameState) -> list[FrameState]:
    """Return the states of a head that turns, talks, blinks and smiles."""
    names = list(head.expression_names)
    states = []
    for number in range(FRAMES):
        t = number / FRAMES
        turn = Rotation.from_euler(
            "YXZ", [18 * np.sin(2 * np.pi * t), 6 * np.sin(4 * np.pi * t), 0], degrees=True
        )
        expression = np.zeros(len(names), np.float32)
        expression[names.index(MOUTH)] = 0.3 - 0.3 * np.cos(6 * np.pi * t)
        for side in ("Left", "Right"):
            expression[names.index(f"eyeBlink{side}")] = 0.9 * (number % 8 == 5)
            expression[names.index(f"mouthSmile{side}")] = 0.8 * max(0, np.sin(2 * np.pi * t))
        states.append(
            replace(
                neutral,
                head_rotation=turn.as_quat().astype(np.float32),
                head_translation=(head.neck - turn.apply(head.neck)).astype(np.float32),
                expression=expression,
            )
        )
    return states


def render_phone_video(folder: Path) -> PhoneVideo:
    """Render the video and write it to a folder."""
    manifest, hairless = load_manifest(SHIPPED / "default"), folder / "hairless.npz"
    count = len(manifest.expression_names)
    neutral = neutral_state(count, manifest.eye_position, manifest.fov_y_rad)
    states = acted_states(load_head(HEAD), neutral)
    write_hairless(HEAD, hairless)
    studio = load_studio(hairless, SIZE)
    frames = [studio.render(state).rgb for state in states]
    path = folder / "phone.mp4"
    write_frames(path, frames)
    return PhoneVideo(path, states, frames)


def write_hairless(head: Path, out: Path) -> None:
    """Write a head file without the hull and the strands of its hair."""
    with np.load(head) as file:
        arrays = dict(file)
    shown = arrays["materials"] != MATERIALS.index("hair")
    other = arrays["strand_kinds"] != HAIR
    points = np.repeat(other, arrays["strand_counts"])
    for name in ("faces", "uv_faces", "materials"):
        arrays[name] = arrays[name][shown]
    for name in ("strand_points", "strand_open_sky"):
        arrays[name] = arrays[name][points]
    for name in (
        "strand_counts",
        "strand_anchors",
        "strand_kinds",
        "strand_widths",
        "strand_tones",
    ):
        arrays[name] = arrays[name][other]
    np.savez(out, allow_pickle=False, **arrays)


def write_frames(path: Path, frames: Sequence[Bytes], rate: int = 25) -> None:
    """Write frames as an H.264 video of high quality (CRF 12)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "12"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
