"""All errors that the server raises, as one tree, independent of HTTP.

    TelewarpError
    ├── BadMessageError          a message breaks the message contract
    │   ├── BadLineError         one invalid line of a live NDJSON body; earlier lines are accepted
    │   └── MayNotDriveError     a mesh frame from a viewer that may only watch
    ├── BadOfferError            an SDP offer or ICE fragment that cannot be used
    │   └── IceRestartError      a fragment with new ICE credentials
    ├── MediaTypeError           a body of a type that this call does not accept
    │   └── ContentEncodingError a compressed body
    ├── LimitError               too many of something, such as streams
    │   ├── TooLargeError        a body or line over its limit
    │   ├── TooManyRequestsError a client exceeds its rate or connection limit
    │   └── FloodError           a sender is far above its message rate for long
    ├── UnauthorizedError        a required token is missing
    │   └── BadTokenError        an unknown, forged or expired token
    ├── ForbiddenError           a token without the scope, or a page of a foreign origin
    ├── NotFoundError
    │   ├── AvatarNotFoundError
    │   ├── StreamNotFoundError
    │   ├── SessionNotFoundError
    │   ├── RecordingNotFoundError
    │   ├── AvatarJobNotFoundError
    │   ├── PublicationNotFoundError
    │   └── TicketNotFoundError
    ├── StreamExistsError        the requested id is taken
    ├── AvatarExistsError        an avatar has this id already
    ├── CallFullError            every seat of a call is taken
    ├── SeatResumedError         the participant of a call has reconnected
    ├── VoiceTakenError          another client publishes the voice of the stream
    ├── StreamClosedError        the stream was deleted while something was using it
    ├── SessionClosedError       the session has ended
    ├── PreconditionError        an `If-Match` that names another state than the present one
    ├── PoolBusyError            no room for one more session or render; a later attempt may succeed
    │   └── FullError            every session is in use; the viewer can join the queue
    ├── DrainingError            the server is shutting down
    ├── NotReadyError            no worker is ready yet; an attempt soon should succeed
    ├── StorageError             a recording or an avatar cannot be written or read
    ├── UnequippedError          this installation lacks programs that the request needs
    ├── RenderError              the renderer failed at a job it had accepted
    └── SettingsError            the server cannot start with its settings

`http/problems.py` maps each to a status code. Texts say what was expected and what was received.
"""

from __future__ import annotations


class TelewarpError(Exception):
    """Root of the tree; `str(error)` may be shown to the client that caused it."""


class BadMessageError(TelewarpError):
    """A message breaks the contract: wrong field, length, range, name or encoding."""


class BadLineError(BadMessageError):
    """One line of a live body is invalid; the lines before it are accepted.

    Args:
        detail: What was expected and what was received, without the line number.
        line: Number of the broken line, counted from 1.
        accepted: Frames taken from the body before it.
        dropped: Frames before it that were late or repeated.
        last_seq: `seq` of the stream's newest frame, None while it has none.
    """

    def __init__(
        self, detail: str, *, line: int, accepted: int, dropped: int, last_seq: int | None
    ) -> None:
        super().__init__(f"line {line}: {detail}")
        self.line = line
        self.accepted = accepted
        self.dropped = dropped
        self.last_seq = last_seq


class MayNotDriveError(BadMessageError):
    """A viewer without the scope `drive` sends a mesh frame."""


class BadOfferError(TelewarpError):
    """An SDP offer or ICE fragment cannot be parsed or requests an unsupported format."""


class IceRestartError(BadOfferError):
    """A fragment has new ICE credentials, which needs a new session here."""


class MediaTypeError(TelewarpError):
    """A body has a type this call does not take."""


class ContentEncodingError(MediaTypeError):
    """A body is compressed."""


class LimitError(TelewarpError):
    """A limit of a number is reached, such as that of streams."""


class TooLargeError(LimitError):
    """A body or line is longer than it may be."""


class TooManyRequestsError(LimitError):
    """A client exceeds its rate or connection limit.

    Args:
        detail: Which limit it was.
        retry_after_s: When to try again, whole seconds.
    """

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class FloodError(LimitError):
    """A sender was far above its message rate for so long that it is disconnected."""


class UnauthorizedError(TelewarpError):
    """A required token is missing."""


class BadTokenError(UnauthorizedError):
    """A token is unknown, forged or expired."""


class ForbiddenError(TelewarpError):
    """The token lacks the scope, or the page is of a foreign origin."""


class NotFoundError(TelewarpError):
    """Nothing has the requested id."""


class AvatarNotFoundError(NotFoundError):
    """No avatar has this id."""


class StreamNotFoundError(NotFoundError):
    """No stream has this id."""


class SessionNotFoundError(NotFoundError):
    """No session has this id, or it has ended."""


class StillNotFoundError(NotFoundError):
    """A session has no refined still with this number, or has moved since."""


class RecordingNotFoundError(NotFoundError):
    """No recording has this id, or the server keeps none."""


class AvatarJobNotFoundError(NotFoundError):
    """No job that makes an avatar has this id, or the server takes none."""


class PublicationNotFoundError(NotFoundError):
    """No publication has this id, or it has ended."""


class TicketNotFoundError(NotFoundError):
    """No ticket has this id, or it has expired."""


class StreamExistsError(TelewarpError):
    """A stream with this id exists already."""


class AvatarExistsError(TelewarpError):
    """An avatar with this id exists already."""


class CallFullError(TelewarpError):
    """Every seat of a call is taken."""


class SeatResumedError(TelewarpError):
    """The participant has reconnected, and the new connection replaces this one."""


class VoiceTakenError(TelewarpError):
    """Another client publishes the voice of the stream."""


class StreamClosedError(TelewarpError):
    """The stream was deleted while something was using it."""


class SessionClosedError(TelewarpError):
    """The session has ended; it has no more frames."""


class PreconditionError(TelewarpError):
    """`If-Match` names another state than the present one."""


class PoolBusyError(TelewarpError):
    """There is no room for one more session or render now; trying again later may succeed."""


class FullError(PoolBusyError):
    """Every session is in use, or reserved for a queued viewer."""


class DrainingError(TelewarpError):
    """The server is shutting down and admits no viewers."""


class NotReadyError(TelewarpError):
    """No worker is ready yet; trying again soon should succeed."""


class StorageError(TelewarpError):
    """A recording or an avatar cannot be written or read: a full disk, a missing permission."""


class UnequippedError(TelewarpError):
    """This installation lacks programs that the request needs; the text names them."""


class RenderError(TelewarpError):
    """The renderer failed at a job it had accepted."""


class SettingsError(TelewarpError):
    """The server cannot start with the settings it was given."""
