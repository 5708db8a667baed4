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

from server.logs import JsonLines, announce


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
