"""Image quality of faces at the size of a screen: decoded video and refined stills.

The reference is the studio's image at the size of the screen, with four samples per pixel. Video is
encoded as the server does, decoded after it has settled, and enlarged bilinearly, as browsers do.
Stills are full renders at a size of their own, compressed as the server does, and enlarged
bicubically, as the page does.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from models.avatar.folder import SHIPPED
from models.avatar.manifest import Manifest, load_manifest
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.evaluation.evaluation import Scorer
from models.kernels.nv12_numba import convert_to_nv12
from models.runtime.renderer import CachedRenderer
from models.studio.studio import load_studio
from scripts.benchmarking.avatars import front, load_resized
from server.encoding.h264 import TIME_BASE, H264Encoder, default_bitrate, open_x264
from server.encoding.still import compress_still

_FACES: tuple[tuple[float, dict[str, float]], ...] = (
    (0.0, {}),
    (0.12, {"mouthSmileLeft": 0.6, "mouthSmileRight": 0.6}),
    (-0.12, {"jawOpen": 0.5}),
    (0.2, {"browInnerUp": 0.7, "eyeWideLeft": 0.5, "eyeWideRight": 0.5}),
    (-0.2, {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}),
    (0.05, {"mouthPucker": 0.8, "eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}),
)
"""Half the angle by which each head turns, radians, and its coefficients."""
_SETTLED = 12
"""Frames of video after which a still face no longer changes."""
_FPS = 60


Deliver = Callable[[RgbImage, int], tuple[RgbImage, int]]
"""Returns an image as shown on a screen with a number of rows, and its bytes."""


@dataclass(frozen=True)
class Sharpness:
    """PSNR, SSIM and FLIP of still faces at the size of a screen, by video and as stills."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder, made by the studio."""
    screen: int = 800
    """Rows and columns of the square on the screen, in its own pixels."""
    sizes: tuple[int, ...] = (320, 384, 448, 512, 640, 768)
    """Rows and columns of the stills."""
    videos: tuple[int, ...] = (320,)
    """Rows and columns of the frames of video."""


def sharpness(command: Sharpness) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(1)
    studio = load_studio(command.avatar / "head.npz", command.screen)
    states = list(_states(load_manifest(command.avatar)))
    truths = [studio.render(state).rgb for state in states]

    def rows(delivery: str, sizes: tuple[int, ...], deliver: Deliver) -> list[dict[str, Any]]:
        renderers = (CachedRenderer(load_resized(command.avatar, size)) for size in sizes)
        return [_row(delivery, renderer, states, truths, deliver) for renderer in renderers]

    videos = rows("video", command.videos, _through_video)
    stills = rows("still", command.sizes, _as_still)
    return {"screen": command.screen, "rows": videos + stills}


def _states(manifest: Manifest) -> Iterator[FrameState]:
    neutral = front(manifest)
    for turn, coefficients in _FACES:
        expression = neutral.expression.copy()
        for name, value in coefficients.items():
            expression[manifest.expression_names.index(name)] = value
        rotation = np.array([0, np.sin(turn), 0, np.cos(turn)], np.float32)
        yield replace(neutral, head_rotation=rotation, expression=expression)


def _row(
    delivery: str,
    renderer: CachedRenderer,
    states: list[FrameState],
    truths: list[RgbImage],
    deliver: Deliver,
) -> dict[str, Any]:
    renderer.full(states[0])  # compiles its kernels
    scorer = Scorer()
    scores, sizes, times = [], [], []
    for state, truth in zip(states, truths, strict=True):
        started = time.thread_time()
        rgb = renderer.full(state)
        times.append((time.thread_time() - started) * 1e3)
        shown, count = deliver(rgb, len(truth))
        scores.append(scorer(shown, truth))
        sizes.append(count)
    means = {name: round(mean(s[name] for s in scores), 4) for name in ("psnr", "ssim", "flip")}
    size = renderer.manifest.resolution
    row = {"delivery": delivery, "size": size, **means, "bytes": round(mean(sizes))}
    row["full_cpu_ms"] = round(mean(times), 1)
    print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    return row


def _through_video(rgb: RgbImage, screen: int) -> tuple[RgbImage, int]:
    """Return a still face as a browser shows it by video, and the bytes per second."""
    height, width = rgb.shape[:2]
    bitrate = default_bitrate(width, height)
    encoder = H264Encoder(
        width, height, fps=_FPS, bitrate=bitrate, highest_bitrate=bitrate, open_codec=open_x264
    )
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    shown, count, nv12 = rgb, 0, convert_to_nv12(rgb)
    for index in range(_SETTLED):
        packet = encoder.encode(nv12, index * TIME_BASE.denominator // _FPS, index == 0)
        count += packet.size
        for frame in decoder.decode(packet):
            shown = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return _enlarged(shown, screen, Image.Resampling.BILINEAR), count


def _as_still(rgb: RgbImage, screen: int) -> tuple[RgbImage, int]:
    """Return a still as the page shows it, and its bytes."""
    data = compress_still(rgb)
    with Image.open(io.BytesIO(data)) as image:
        shown = np.array(image.convert("RGB"))
    return _enlarged(shown, screen, Image.Resampling.BICUBIC), len(data)


def _enlarged(rgb: RgbImage, screen: int, filtered: Image.Resampling) -> RgbImage:
    return np.array(Image.fromarray(rgb).resize((screen, screen), filtered))
