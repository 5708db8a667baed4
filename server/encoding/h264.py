"""H.264 through PyAV, tuned for latency.

aiortc's own encoder takes three times as long and starts anew, with a key frame, whenever the
receiver's estimate of the bandwidth moves. A track that returns `av.Packet` uses its own encoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ctypes import memmove
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from models.contract.frame_state import FrameState, Rectangle
from models.contract.images import Nv12Image
from server.encoding.region_filter import QUANTISERS, REGION, region_filter

TIME_BASE = Fraction(1, 90_000)
"""RTP's clock for video."""
_X264 = "libx264"
PIXELS = "nv12"
"""FFmpeg's name of the format of frames, which x264 and NVENC accept without conversion."""
PROFILE = "Baseline"
"""What offers of browsers have in common."""
_LONGEST_FRAME_S = 0.15
"""Rate-control buffer: the longest time to send one frame at the initial bitrate, seconds."""
_PRESET = "superfast"
"""Half the bytes of `ultrafast` at the same error, for 0.4 ms of CPU time at 320x320."""
_FINEST_QUANTISER = 12
"""At 18, dark gradients show coloured blocks; 10 instead of 12 costs 40 % more bytes for 0.8 dB."""
_FACE_STEPS = 2
"""By how much the quantiser is lower in the face. 4 would give the face twice the gain, but at 300
kb/s hair loses its texture."""
_ATTACHED: Any = SideDataContainer
"""Reads what is attached to a frame; PyAV's types lack its argument."""
_NEVER = 2**30
_BT601, _BT709, _LIMITED = 6, 1, 1
"""ISO/IEC 23091-2 code points; decoders also assume BT.601's matrix if none is signalled."""

_RATE_STEPS = {"h264_nvenc": (0.9, 1.3)}
"""Changes of the target between these ratios are left out, by encoder. FFmpeg makes NVENC start
with a key frame at each change, which takes several times the bits of a frame, and a receiver
without congestion raises its estimate every second."""

OpenCodec = Callable[[int, int, float, int], VideoCodecContext]
"""Opens an encoder for a width, a height, frames per second and bits per second."""


class H264Encoder:
    """Encodes each frame to one H.264 access unit: constrained baseline, no B-frames, no delay.

    May be called from any thread, but from only one at a time.

    Args:
        width: Width of the first frames, pixels, even.
        height: Height of the first frames, pixels, even.
        fps: Expected frames per second; used by the rate control only; frames may arrive at any
            time.
        bitrate: Target in bits per second.
        highest_bitrate: Maximum of the target, bits per second.
        open_codec: Opens the encoder.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        fps: float,
        bitrate: int,
        highest_bitrate: int,
        open_codec: OpenCodec,
    ) -> None:
        self.width = width
        self.height = height
        self._highest_bitrate = highest_bitrate
        self._fps, self._open_codec = fps, open_codec
        self._target = min(bitrate, highest_bitrate)
        self._codec = open_codec(width, height, fps, self._target)
        self._regions: Graph | None = None

    @property
    def bitrate(self) -> int:
        """Target in bits per second; setting it takes effect at the next frame, in place.

        Encoders that start with a key frame at each change only follow larger ones.
        """
        return int(self._codec.bit_rate or 0)

    @bitrate.setter
    def bitrate(self, value: int) -> None:
        self._target = min(value, self._highest_bitrate)
        fewer, more = _RATE_STEPS.get(self._codec.name, (1.0, 1.0))
        if not fewer * self.bitrate < self._target < more * self.bitrate:
            self._codec.bit_rate = self._target

    def encode(
        self, nv12: Nv12Image, pts: int, key_frame: bool, shown: FrameState | None = None
    ) -> av.Packet[VideoStream]:
        """Encode one frame. A change of the size starts with a key frame.

        Args:
            nv12: (3 H/2, W) uint8.
            pts: In 1/90000 s, larger than the previous one.
            key_frame: Make it decodable without other frames, preceded by the parameter sets.
            shown: What it shows: x264 gives the face more of the bits. None if unknown.
        """
        if self._fit(nv12):
            key_frame = True
        frame = video_frame(nv12, pts)
        if shown is not None and self._codec.name == _X264:
            frame = self._mark_face(frame, shown)
        frame.pict_type = PictureType.I if key_frame else PictureType.NONE
        packets = self._codec.encode(frame)
        assert len(packets) == 1, f"zerolatency means one packet a frame, got {len(packets)}"
        return packets[0]

    def _mark_face(self, frame: av.VideoFrame, shown: FrameState) -> av.VideoFrame:
        """Return the frame with a lower quantiser in the face."""
        face = shown.face_rectangle(self.width)
        if face is None:
            return frame
        self._regions = self._regions or region_filter(frame)
        return mark_region(self._regions, frame, face, _FACE_STEPS)

    def _fit(self, nv12: Nv12Image) -> bool:
        """Reopen the encoder if a frame has another size; return whether it has."""
        rows, width = nv12.shape
        height = rows * 2 // 3
        if (width, height) == (self.width, self.height):
            return False
        self._codec = self._open_codec(width, height, self._fps, self._target)
        self.width, self.height = width, height
        self._regions = None
        return True


def video_frame(nv12: Nv12Image, pts: int) -> av.VideoFrame:
    """Return a frame that shares the memory of an image.

    Args:
        nv12: (3 H/2, W) uint8; must not change while the frame is used.
        pts: In 1/90000 s.
    """
    frame = av.VideoFrame.from_numpy_buffer(nv12, format=PIXELS)
    frame.pts = pts
    frame.time_base = TIME_BASE
    return frame


def mark_region(regions: Graph, frame: av.VideoFrame, area: Rectangle, steps: int) -> av.VideoFrame:
    """Return a frame of the same memory, in an area of which x264 lowers the quantiser.

    Args:
        regions: `region_filter` for such frames.
        frame: The frame.
        area: The area; x264 takes all macroblocks that it touches.
        steps: By how much the quantiser is lower; at 6 it is half as coarse.
    """
    regions.push(frame)
    marked = regions.pull()
    assert isinstance(marked, av.VideoFrame)
    top, left, bottom, right = area
    # Not `marked.side_data`, which would refer to the frame and the frame to it.
    attached = _ATTACHED(marked)[0]
    # Written in place, which PyAV does not offer: the filter has allocated it for this frame.
    region = REGION.pack(REGION.size, top, bottom, left, right, -steps, QUANTISERS)
    assert attached.buffer_size == REGION.size
    memmove(attached.buffer_ptr, region, REGION.size)
    return marked


def open_x264(
    width: int,
    height: int,
    fps: float,
    bitrate: int,
    *,
    preset: str = _PRESET,
    finest_quantiser: int = _FINEST_QUANTISER,
    profile: str = PROFILE,
) -> VideoCodecContext:
    """Open an encoder on the CPU.

    Args:
        width: Width of every frame, pixels, even.
        height: Height of every frame, pixels, even.
        fps: Expected frames per second.
        bitrate: Target in bits per second.
        preset: x264's trade of time for bytes.
        finest_quantiser: A lower quantiser is never chosen.
        profile: x264's name of the profile.
    """
    codec = av.CodecContext.create(_X264, "w")
    assert isinstance(codec, VideoCodecContext)
    prepare(codec, width, height, fps, bitrate)
    codec.profile = profile
    codec.thread_count = (
        1  # more would split the frame into slices and compete with the warp for cores
    )
    codec.options = {
        "preset": preset,
        "tune": "zerolatency",
        "forced-idr": "1",  # a requested I frame must be decodable by itself
        "qmin": str(finest_quantiser),  # otherwise a still face would use the full bitrate too
        "x264-params": "scenecut=0:keyint=infinite",
        **rate_options(bitrate),
    }
    codec.open()
    return codec


def prepare(codec: VideoCodecContext, width: int, height: int, fps: float, bitrate: int) -> None:
    """Set what all encoders share: constrained baseline, no B-frames, colour space."""
    codec.width = width
    codec.height = height
    codec.pix_fmt = PIXELS
    codec.time_base = TIME_BASE
    codec.framerate = Fraction(fps).limit_denominator(1000)
    codec.bit_rate = bitrate
    codec.max_b_frames = 0
    codec.gop_size = _NEVER
    codec.profile = PROFILE
    codec.colorspace = _BT601
    codec.color_primaries = _BT709
    codec.color_trc = _BT709
    codec.color_range = _LIMITED


def rate_options(bitrate: int) -> dict[str, str]:
    """Return rate-control options; x264 can only change a bitrate that maxrate equals at first."""
    return {"maxrate": str(bitrate), "bufsize": str(round(bitrate * _LONGEST_FRAME_S))}


def default_bitrate(width: int, height: int) -> int:
    """Return the bits per second at which a face looks clean: 1.5 Mb/s at 256x256, 3 at 512x512."""
    return round(1.5e6 * math.sqrt(width * height) / 256)
