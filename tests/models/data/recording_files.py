"""Writes recordings and reads them."""

from __future__ import annotations

from pathlib import Path

from models.contract.arkit import ARKIT_NAMES
from models.data.recordings import Recording, load_recording


def read(folder: Path, content: str | bytes, fps: float | None = None) -> Recording:
    """Write a recording, and read it."""
    path = folder / "face"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_recording(path, ARKIT_NAMES, fps)


def table(times: list[str], column: str = "JawOpen", value: str = "0.5") -> str:
    """Return a table with a row for each time."""
    return f"Timecode,{column}\n" + "".join(f"{time},{value}\n" for time in times)


def jaw(recording: Recording) -> list[float]:
    """Return `jawOpen` of each row."""
    values: list[float] = recording.expression[:, ARKIT_NAMES.index("jawOpen")].tolist()
    return values
