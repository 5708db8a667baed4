"""Publish the mesh frames of one publisher to a stream, and count them."""

from __future__ import annotations

import time

from server.errors import StreamClosedError
from server.protocol.decode import decode_mesh
from server.protocol.messages import MeshFrame, parse_mesh_frame
from server.protocol.packed_mesh import is_packed, unpack_mesh
from server.protocol.states import MeshState
from server.streams.streams import Stream

FRAMES_PER_S = 500.0
"""Rate limit of one publisher, frames per second: more than twice the rate of known trackers."""


class StreamPublisher:
    """One request, socket or data channel that publishes mesh frames.

    Args:
        stream: Receives them.
    """

    def __init__(self, stream: Stream) -> None:
        self.accepted = 0
        self.dropped = 0
        """Late and repeated frames, and those above the rate."""
        self._stream = stream

    @property
    def last_seq(self) -> int | None:
        """`seq` of the stream's newest frame; None while it has none."""
        return self._stream.live.seq if self._stream.live else None

    @property
    def counts(self) -> dict[str, int | None]:
        """Counts that are sent to the publisher."""
        return {"accepted": self.accepted, "dropped": self.dropped, "last_seq": self.last_seq}

    def check(self, frame: MeshFrame) -> MeshState:
        """Convert a frame.

        Raises:
            BadMessageError: If it does not fit the stream's avatar.
        """
        return decode_mesh(frame, self._stream.avatar, time.monotonic())

    def publish(self, mesh: MeshState) -> None:
        """Show a checked frame, unless it is late or repeated.

        Raises:
            StreamClosedError: If the stream was deleted.
        """
        if self._stream.deleted:
            raise StreamClosedError(f"stream {self._stream.id!r} was deleted meanwhile")
        if self._stream.publish(mesh):
            self.accepted += 1
        else:
            self.dropped += 1

    def drop(self) -> None:
        """Count a frame above the rate."""
        # In both counters: the publisher gets its own counts, the operator those of the stream.
        self._stream.counters.dropped += 1
        self.dropped += 1

    def publish_text(self, text: str | bytes) -> None:
        """Parse, check and show a frame.

        Raises:
            BadMessageError: If it is no mesh frame or does not fit the stream's avatar.
            StreamClosedError: If the stream was deleted.
        """
        self.publish(self.check(parse_mesh_frame(text)))

    def publish_message(self, message: str | bytes) -> None:
        """Like `publish_text`, of a message that may also be a packed frame.

        Raises:
            BadMessageError: If it is no mesh frame or does not fit the stream's avatar.
            StreamClosedError: If the stream was deleted.
        """
        if isinstance(message, bytes) and is_packed(message):
            self.publish(self.check(unpack_mesh(message)))
        else:
            self.publish_text(message)
