"""Server times of a frame, for its `frame` event.

With it, and the pongs of `server/sessions/viewer_channel.py`, a page maps server times to its own
clock, so that each network direction is measured and not guessed.
"""

from __future__ import annotations

from server.pool.frame import Frame


def frame_clock(frame: Frame, sent_at: float, captured_at: float | None) -> dict[str, float | None]:
    """Return when a frame passed each stage.

    Args:
        frame: As it was encoded.
        sent_at: When its last packet had gone out, seconds.
        captured_at: When the mesh frame that it shows was captured, seconds.

    Returns:
        `view_received`, `mesh_received` and `mesh_captured` (of what it shows, None where there is
        none), `drawn`, `encoded`, `sent`: `time.monotonic()` in milliseconds.
    """
    view, mesh = frame.inputs.view, frame.inputs.mesh
    moments = {
        "view_received": view.received_at if view else None,
        "mesh_received": mesh.received_at if mesh else None,
        "mesh_captured": captured_at,
        "drawn": frame.rendered_at,
        "encoded": frame.encoded_at,
        "sent": sent_at,
    }
    return {name: None if at is None else round(at * 1e3, 2) for name, at in moments.items()}
