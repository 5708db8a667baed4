"""Publishes voice with FFmpeg's WHIP muxer: ADDRESS CERTIFICATE KEY PACKETS.

A separate program, because the muxer holds the interpreter lock while it waits for the server.
"""

from __future__ import annotations

import sys

import av
import numpy as np

SAMPLES = 960
"""Samples per packet: 20 ms at 48 kHz."""


def main(address: str, certificate: str, key: str, packets: str) -> None:
    """Connect, send the packets at once, and end the publication when standard input ends."""
    options = {"cert_file": certificate, "key_file": key}
    with av.open(address, "w", format="whip", options=options) as muxer:
        voice = muxer.add_stream("libopus", rate=48000, layout="stereo")
        for number in range(int(packets)):
            samples = np.full((1, 2 * SAMPLES), number, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48000, number * SAMPLES
            muxer.mux(voice.encode(frame))
        muxer.mux(voice.encode(None))
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
