"""The server's clock as a viewer is told it: when a frame passed each point.

With it, and the pongs of `server/sessions/viewer_channel.py`, a page maps server times to its own
clock, so that each network direction is measured and not guessed.
"""

from __future__ import annotations

from server.transport.webrtc.track import EncodedFrame


def frame_clock(frame: EncodedFrame, sent_at: float) -> dict[str, float | None]:
    """When a frame passed each point.

    Args:
        frame: As it was encoded.
        sent_at: When its last packet had gone out, seconds.

    Returns:
        `view_received` and `mesh_received` (of what it shows, None where there is none), `drawn`,
        `encoded`, `sent`: `time.monotonic()` in milliseconds.
    """
    rendered = frame.rendered
    moments = {
        "view_received": rendered.view_received_at,
        "mesh_received": rendered.mesh_received_at,
        "drawn": rendered.drawn_at,
        "encoded": frame.encoded_at,
        "sent": sent_at,
    }
    return {name: None if at is None else round(at * 1e3, 2) for name, at in moments.items()}
