"""The filter that attaches a region of interest to frames, which x264 reads.

PyAV only reads what is attached to a frame; FFmpeg's filter `addroi` attaches it.
"""

from __future__ import annotations

from struct import Struct

import av
from av.filter import Graph

REGION = Struct("=I6i")
"""FFmpeg's `AVRegionOfInterest`: the bytes of itself; top, bottom, left and right in pixels;
numerator and denominator of the change of the quantiser, as a part of its range."""
QUANTISERS = 51
"""The range of x264's quantiser."""


def region_filter(like: av.VideoFrame) -> Graph:
    """Return a filter that attaches one region to each frame; it copies no pixels.

    Its region is the whole frame: a filter for each area would take 0.1 ms to build, for half of
    the frames of a face that moves.

    Args:
        like: A frame of the size, format and time base of all frames.
    """
    graph = Graph()
    graph.threads = 1  # a pool of threads takes 1 ms to start
    source = graph.add_buffer(
        width=like.width, height=like.height, format=like.format, time_base=like.time_base
    )
    region, sink = graph.add("addroi", "qoffset=0"), graph.add("buffersink")
    source.link_to(region)
    region.link_to(sink)
    graph.configure()
    return graph
