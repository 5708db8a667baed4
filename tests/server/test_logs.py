"""Log lines as JSON: one object each, for any content."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

from server.line_writer import LineWriter
from server.logs import JsonLines, LineHandler, announce


class Log:
    """A logger, and the lines that it wrote."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(JsonLines())
        self.logger = logging.Logger("some.part", logging.WARNING)
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_log_line_has_time_level_logger_and_message(log: Log) -> None:
    log.logger.warning("%s \N{SNOWMAN} and \nanother %r", "one", "line")
    (line,) = log.lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "warning",
        "logger": "some.part",
        "message": "one \N{SNOWMAN} and \nanother 'line'",
    }


def test_ids_are_fields_and_other_extra_values_are_not(log: Log) -> None:
    log.logger.error("gone", extra={"session": "s1", "stream": "demo", "color_message": "x"})
    (line,) = log.lines
    assert (line["session"], line["stream"]) == ("s1", "demo")
    assert line.keys() == {"time", "level", "logger", "message", "session", "stream"}


def test_an_exception_is_in_the_same_object(log: Log) -> None:
    try:
        raise ValueError("no such face")
    except ValueError:
        log.logger.exception("failed")
    (line,) = log.lines
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: no such face")


class Lines(LineWriter):
    """Keeps lines."""

    def __init__(self) -> None:
        super().__init__(None)
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)


def test_warnings_of_one_kind_are_counted_instead_of_filling_the_log() -> None:
    written, now = Lines(), [0.0]
    handler = LineHandler(written, lambda: now[0])
    logger = logging.Logger("a", logging.INFO)
    logger.addHandler(handler)
    for index in range(5000):
        logger.warning("request %d is broken", index)
        logger.info("request %d", index)
    logger.error("another")
    warnings = [line for line in written.lines if "broken" in line]
    assert warnings == [f"request {index} is broken" for index in range(20)]
    assert len(written.lines) == 5000 + 20 + 1
    now[0] = 10.0
    logger.warning("request %d is broken", 5000)
    assert written.lines[-2:] == [
        "4980 more like this within 10 s, the last: request 4999 is broken",
        "request 5000 is broken",
    ]


def test_warnings_of_different_kinds_are_all_written() -> None:
    written = Lines()
    logger = logging.Logger("a")
    logger.addHandler(LineHandler(written, lambda: 0.0))
    for index in range(1000):
        logger.warning(f"{index}")
    assert len(written.lines) == 1000


def test_announcements_are_logged_at_any_level(log: Log) -> None:
    log.logger.info("unheard")
    announce(log.logger, "heard")
    assert [line["message"] for line in log.lines] == ["heard"]
    assert log.lines[0]["level"] == "info"


@pytest.mark.parametrize(
    ("log_format", "said"),
    [
        ("text", r"[\d-]+ [\d:,]+ WARNING cpu-7 part: hello"),
        ("json", r'\{"time": .*"message": "hello", "worker": "cpu-7"\}'),
    ],
)
def test_every_line_of_a_worker_contains_its_name(log_format: str, said: str) -> None:
    program = (
        "import logging; from server.logs import configure;"
        f"configure({log_format!r}, logging.INFO, 'cpu-7');"
        "logging.getLogger('part').warning('hello')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert re.fullmatch(said, done.stderr.strip()), done.stderr
