"""One job that makes an avatar, and its record on disk, which survives a restart."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

JobKind = Literal["video", "archive"]
JobState = Literal["uploading", "waiting", "running", "done", "failed"]
RECORD = "job.json"
LONGEST_TEXT = 500
"""Characters of a message of the command."""


@dataclass
class Progress:
    """Progress of the command of a job."""

    stage: str = ""
    index: int = 0
    stages: int = 1
    fraction: float = 0.0
    """Finished share of the stage, 0..1."""
    message: str = ""

    @classmethod
    def read(cls, line: dict[str, object]) -> Progress:
        """Read a line of the command.

        Raises:
            ValueError: If a number cannot be parsed.
            TypeError: If a value has another type.
        """
        index, stages, fraction = (line.get(name, 0) for name in ("index", "stages", "fraction"))
        return cls(
            stage=str(line["stage"])[:LONGEST_TEXT],
            index=int(str(index)),
            stages=max(1, int(str(stages))),
            fraction=min(1.0, max(0.0, float(str(fraction)))),
            message=str(line.get("message", ""))[:LONGEST_TEXT],
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Job:
    """One job. All changes go through `save`, which counts them."""

    kind: JobKind
    name: str
    """Name of the person or the avatar."""
    consent: str
    """The consent of the person; erased when the job ends, because the manifest then contains
    it."""
    wanted_id: str | None
    """Requested id of the avatar; None for that of its manifest."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: JobState = "uploading"
    created_at: str = field(default_factory=_now)
    ended_at: str | None = None
    starts: int = 0
    """Number of starts of the command; each restart of the server adds one."""
    spent_s: float = 0.0
    """Running time of the command, seconds."""
    progress: Progress = field(default_factory=Progress)
    avatar: str | None = None
    """Id of the finished avatar."""
    error: str | None = None
    """Reason of the failure."""
    revision: int = 0

    @property
    def ended(self) -> bool:
        """Whether it has finished or failed."""
        return self.state in ("done", "failed")

    def end(self, state: Literal["done", "failed"]) -> None:
        """Mark it as ended, and erase data that is no longer needed."""
        self.state, self.ended_at, self.consent = state, _now(), ""

    def save(self, folder: Path) -> None:
        """Write the record to a job's folder atomically."""
        self.revision += 1
        part = folder / f"{RECORD}.part"
        part.write_text(json.dumps(asdict(self)))
        part.replace(folder / RECORD)


def load_job(folder: Path) -> Job:
    """Read the record of a job.

    Raises:
        OSError: If it is missing.
        ValueError: If it is not the record of a job.
    """
    values = json.loads((folder / RECORD).read_text())
    known = {each.name for each in fields(Job)}
    if not isinstance(values, dict) or set(values) != known or values["id"] != folder.name:
        raise ValueError(f"{folder / RECORD} is no record of a job")
    return Job(**{**values, "progress": Progress(**values["progress"])})
