"""All errors that the server raises, as one tree, independent of HTTP.

    TelewarpError
    ├── BadMessageError          a message breaks the message contract
    │   ├── BadLineError         one line of a live NDJSON body does; earlier lines have counted
    │   └── MayNotDriveError     a mesh frame from a viewer that may only watch
    ├── BadOfferError            an SDP offer or ICE fragment that cannot be used
    │   └── IceRestartError      a fragment with new ICE credentials
    ├── MediaTypeError           a body of a type this call does not take
    │   └── ContentEncodingError a compressed body
    ├── LimitError               too many of something, such as streams
    │   ├── TooLargeError        a body or line over its limit
    │   ├── TooManyRequestsError a client exceeds its rate or connection limit
    │   └── FloodError           a sender is far above its message rate for long
    ├── UnauthorizedError        no token
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
    ├── SeatResumedError         the person of a call has come back on another connection
    ├── VoiceTakenError          another client publishes the voice of the stream
    ├── StreamClosedError        the stream was deleted while something was using it
    ├── SessionClosedError       the session has ended
    ├── PreconditionError        an `If-Match` that names another state than the present one
    ├── PoolBusyError            no room for one more session or render; worth trying again later
    │   └── FullError            every session is in use; the viewer can join the queue
    ├── DrainingError            the server ends once its viewers have left
    ├── NotReadyError            no worker is ready yet; worth trying again soon
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
    """One line of a live body is broken; the lines before it have counted.

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
    """A viewer sends a face of its own without being allowed to drive."""


class BadOfferError(TelewarpError):
    """An SDP offer or ICE fragment cannot be parsed or asks for what we do not send."""


class IceRestartError(BadOfferError):
    """A fragment has new ICE credentials, which needs a new session here."""


class MediaTypeError(TelewarpError):
    """A body has a type this call does not take."""


class ContentEncodingError(MediaTypeError):
    """A body is compressed."""


class LimitError(TelewarpError):
    """There are as many of something as there may be, such as streams."""


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
    """No token came where one is needed."""


class BadTokenError(UnauthorizedError):
    """A token came that is unknown, forged or too old."""


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
    """No ticket has this id, or it has lost its queue position."""


class StreamExistsError(TelewarpError):
    """A stream with this id exists already."""


class AvatarExistsError(TelewarpError):
    """An avatar with this id exists already."""


class CallFullError(TelewarpError):
    """Every seat of a call is taken."""


class SeatResumedError(TelewarpError):
    """The person of a call has come back on another connection, which replaces this one."""


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
    """The server ends once its viewers have left; it takes no more."""


class NotReadyError(TelewarpError):
    """No worker is ready yet; trying again soon should succeed."""


class StorageError(TelewarpError):
    """A recording or an avatar cannot be written or read: a full disk, a missing right."""


class UnequippedError(TelewarpError):
    """This installation lacks programs that the request needs; the text says which."""


class RenderError(TelewarpError):
    """The renderer failed at a job it had accepted."""


class SettingsError(TelewarpError):
    """The server cannot start with the settings it was given."""
