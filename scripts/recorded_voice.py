"""The voice of a server's recording, decoded and aligned with its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from statistics import median

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from server.recordings.file_format import MeshLine, RecordedVoice, read_lines, read_voice
from server.streams.voice import CLOCK_RATE

Samples = NDArray[np.float32]
"""(2, N) at `CLOCK_RATE`, 1 at full scale."""

_MOST_LINES = 2000
"""Mesh frames that are compared with the voice's clock: a minute at 30 per second."""
_SAME_CLOCK_MS = 2000.0
"""Maximum time between capture and receipt beyond the difference of the clocks, which is the same
for mesh frames and voice."""
_LONGEST_S = 2 * 3600
_TICKS = 1 << 32


def voice_samples(path: Path, start_s: float, seconds: float) -> Samples | None:
    """Return the voice of a recording, silence where there is none.

    Each packet is placed at the capture time of its sound. Frames are placed at their time of
    receipt, so the faces' median time from capture to receipt is added, which aligns lips and
    voice. Lost packets are silent.

    Args:
        path: The recording.
        start_s: Start position, seconds after the first mesh frame.
        seconds: Duration.

    Returns:
        None if it has no voice there.

    Raises:
        BadMessageError: If the file is no recording, or broken.
        OSError: If the file cannot be read.
    """
    packets = list(read_voice(path))
    if not packets:
        return None
    began_ms, delay_ms = _faces(path)
    count = round(min(seconds, _LONGEST_S) * CLOCK_RATE)
    samples = np.zeros((2, count), np.float32)
    heard = False
    for _, source in groupby(packets, key=lambda voice: voice.packet.source):
        for at_ms, decoded in _decode(list(source), delay_ms):
            first = round((at_ms - began_ms - 1e3 * start_s) * CLOCK_RATE / 1e3)
            heard |= _place(samples, decoded, first)
    return samples if heard else None


def _faces(path: Path) -> tuple[float, float | None]:
    """Return the receipt time of the first mesh frame and the delay of all; None if unknown."""
    faces = [line for line in islice(read_lines(path), _MOST_LINES) if isinstance(line, MeshLine)]
    delays = [f.at_ms - f.captured_at_ms for f in faces if f.captured_at_ms is not None]
    return (faces[0].at_ms if faces else 0.0), (median(delays) if delays else None)


def _decode(
    packets: Sequence[RecordedVoice], delay_ms: float | None
) -> Iterator[tuple[float, Samples]]:
    """Yield the sound of each packet of one source and its playback time."""
    decoder = AudioCodecContext.create("libopus", "r")
    decoder.layout, decoder.sample_rate = "stereo", CLOCK_RATE
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=CLOCK_RATE)
    began_ms = _began_ms(packets, delay_ms)
    for packet in (voice.packet for voice in packets):
        ticks = _since(packets[0], packet.timestamp)
        try:
            frames = decoder.decode(av.Packet(packet.payload))
        except av.FFmpegError:
            continue  # a broken packet counts as lost
        decoded = [part.to_ndarray() for frame in frames for part in resampler.resample(frame)]
        if decoded:
            yield began_ms + ticks / CLOCK_RATE * 1e3, np.concatenate(decoded, axis=1)


def _began_ms(packets: Sequence[RecordedVoice], delay_ms: float | None) -> float:
    """Return the start time of a source, on the timeline of the mesh frames."""
    waits = [
        voice.at_ms - _since(packets[0], voice.packet.timestamp) / CLOCK_RATE * 1e3
        for voice in packets
    ]
    received_ms = min(waits)  # jitter only adds delay
    captured_ms = packets[0].packet.captured_at_ms
    if captured_ms is None or delay_ms is None:
        return received_ms
    began_ms = captured_ms + delay_ms
    return began_ms if abs(began_ms - received_ms) < _SAME_CLOCK_MS else received_ms


def _since(first: RecordedVoice, timestamp: int) -> int:
    """Return the ticks since the first packet of a source, with wrap-around."""
    return (timestamp - first.packet.timestamp + _TICKS // 2) % _TICKS - _TICKS // 2


def _place(samples: Samples, part: Samples, first: int) -> bool:
    """Write a part of the sound, clipped to the whole; return whether any is left."""
    begin, end = max(0, first), min(samples.shape[1], first + part.shape[1])
    if begin >= end:
        return False
    samples[:, begin:end] = part[:, begin - first : end - first]
    return True
