"""Log formats: text lines for people, or one JSON object per line for programs.

Used by the server and its workers. Logging never waits for the reader of the log, and never fails.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from server.line_writer import LineWriter

LogFormat = Literal["text", "json"]

IDS = ("session", "stream", "worker")
"""Ids that a record may have, passed as `extra={"session": ...}`, fields of its JSON object."""


_REPEATS, _PERIOD_S = 20, 10.0
"""Warnings of one kind that are written in a period: clients can cause one with each request."""
_KINDS = 200
"""Kinds that are counted at once; the oldest is forgotten."""


class JsonLines(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `logger`, `message`, ids, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without the newline."""
        moment = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in IDS if hasattr(record, name)}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


@dataclass
class _Kind:
    """Records of one logger and message."""

    begun: float
    """Start of its period, seconds."""
    written: int = 0
    record: logging.LogRecord | None = None
    """The newest one that was not written."""
    unwritten: int = 0


class _Repeats:
    """Counts warnings by logger and message, before its values are filled in.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def takes(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written, and count it."""
        if record.levelno < logging.WARNING:
            return True
        key = (record.name, str(record.msg))
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _KINDS:
                del self._kinds[next(iter(self._kinds))]
            kind = self._kinds[key] = _Kind(self._clock())
        if kind.written < _REPEATS:
            kind.written += 1
            return True
        kind.record = record
        kind.unwritten += 1
        return False

    def ended(self) -> list[logging.LogRecord]:
        """Forget kinds whose period has ended; return a record for each with unwritten ones."""
        oldest = self._clock() - _PERIOD_S
        ended = [key for key, kind in self._kinds.items() if kind.begun <= oldest]
        kinds = [self._kinds.pop(key) for key in ended]
        return [_summary(kind.record, kind.unwritten) for kind in kinds if kind.record is not None]


def _summary(record: logging.LogRecord, count: int) -> logging.LogRecord:
    text = f"{count} more like this within {_PERIOD_S:g} s, the last: {record.msg}"
    return logging.LogRecord(record.name, record.levelno, "", 0, text, record.args, None)


class LineHandler(logging.Handler):
    """Writes records as lines, and logs the number of lost ones once lines can be written again.

    Of warnings and errors of one kind the first 20 within 10 s are written, and then their number.

    Args:
        writer: Writes the lines.
        clock: Seconds.
    """

    def __init__(self, writer: LineWriter, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._writer = writer
        self._repeats = _Repeats(clock)
        self._reported = 0
        """Number of lost lines that have been logged."""

    @property
    def lost(self) -> int:
        """Number of records that could not be written."""
        return self._writer.lost

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record and queue it, unless it is one of many of its kind."""
        for summary in self._repeats.ended():
            self._writer.write(self._line(summary))
        if not self._repeats.takes(record):
            return
        line = self._line(record)
        if self._writer.working and self.lost > self._reported:
            self._writer.write(self.format(self._loss()))
            self._reported = self.lost
        self._writer.write(line)

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception:  # arguments that do not fit the message
            return f"{record.levelname} {record.name}: {record.msg!r} with {record.args!r}"

    def flush(self) -> None:
        """Wait for the lines, for at most a second; `logging` calls this at exit."""
        self._writer.flush()

    def _loss(self) -> logging.LogRecord:
        text = f"{self.lost - self._reported} lines of the log could not be written"
        return logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None)


def lost_lines() -> int:
    """Return the number of records that this process could not write."""
    handlers = logging.getLogger().handlers
    return sum(handler.lost for handler in handlers if isinstance(handler, LineHandler))


def configure(log_format: LogFormat, level: int, worker: str | None = None) -> None:
    """Set up this process's log, on standard error.

    Args:
        log_format: Format of the lines.
        level: Lowest level that is logged, a constant of the `logging` module.
        worker: Name of the worker that this process is; None for the server.
    """
    handler = LineHandler(LineWriter(sys.stderr))
    if log_format == "json":
        handler.setFormatter(JsonLines())
    else:
        of_worker = f"%(asctime)s %(levelname)s {worker} %(name)s: %(message)s"
        plain = "%(levelname)s %(name)s: %(message)s"
        handler.setFormatter(logging.Formatter(plain if worker is None else of_worker))
    if worker is not None:
        handler.addFilter(_Names(worker))
    logging.basicConfig(level=level, handlers=[handler])
    if level > logging.DEBUG:  # aioice logs two lines per candidate pair
        logging.getLogger("aioice").setLevel(max(level, logging.WARNING))


def announce(logger: logging.Logger, text: str, level: int = logging.INFO) -> None:
    """Log a message regardless of the configured level."""
    logger.handle(logger.makeRecord(logger.name, level, "", 0, text, (), None))


class _Names(logging.Filter):
    """Adds the worker's name to every record."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def filter(self, record: logging.LogRecord) -> bool:
        record.worker = self._worker
        return True
