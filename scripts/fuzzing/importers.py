"""Importers of untrusted files by suffix, with checks of their cost and of their error messages."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.authors.checkpoint import CheckpointError, read_checkpoint
from models.contract.arkit import ARKIT_NAMES
from models.data.recordings import RecordingError, load_recording
from models.geometry.flame import COEFFICIENT_NAMES, flame_head, load_flame, load_texture_space
from models.geometry.head import HeadError
from models.geometry.head_file import load_head
from models.heads.gltf_file import MeshFileError
from models.heads.imported import head_arrays

REFUSALS = (CheckpointError, HeadError, MeshFileError, RecordingError)
MAX_MESSAGE = 400
"""Maximum length of an error message without the path, characters."""

Importer = Callable[[Path, Path], object]
"""Reads a mutated file; the second path is the file that it was made from."""


def _options(path: Path, source: Path) -> object:
    """Read a checkpoint with changed options."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, Path(folder) / "commandline_args.txt")
        checkpoint = next((source.parent / "checkpoints").glob("*.tar"))
        return read_checkpoint(Path(folder), len(COEFFICIENT_NAMES), checkpoint)


def _weights(path: Path, source: Path) -> object:
    return read_checkpoint(source.parent.parent, len(COEFFICIENT_NAMES), path)


IMPORTERS: dict[str, tuple[Importer, ...]] = {
    ".glb": (lambda path, _: head_arrays(path),),
    ".gltf": (lambda path, _: head_arrays(path),),
    ".obj": (lambda path, _: head_arrays(path), lambda path, _: load_texture_space(path)),
    ".pkl": (lambda path, _: flame_head(load_flame(path)),),
    ".npz": (
        lambda path, _: flame_head(load_flame(path)),
        lambda path, _: load_head(path),
        lambda path, _: load_texture_space(path),
    ),
    ".csv": (lambda path, _: load_recording(path, ARKIT_NAMES),),
    ".json": (lambda path, _: load_recording(path, ARKIT_NAMES),),
    ".tar": (_weights,),
    ".txt": (_options,),
}


@dataclass(frozen=True)
class Outcome:
    """Outcome of an import."""

    accepted: bool
    fault: str
    """A traceback, or the fault of the error message; empty if there is none."""
    seconds: float
    """Processor time."""
    peak_mb: int
    """Peak memory of the process."""


def try_file(path: Path, source: Path) -> Outcome:
    """Read a file with each importer of its suffix."""
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to what is used now, proc(5)
    started, accepted, faults = time.process_time(), False, []
    for read in IMPORTERS[path.suffix]:
        try:
            with warnings.catch_warnings(action="error"):
                read(path, source)
            accepted = True
        except REFUSALS as exc:
            faults += _faults(str(exc).replace(str(path), ""))
        except Exception:
            faults.append(traceback.format_exc())
    return Outcome(accepted, "\n".join(faults), time.process_time() - started, memory_mb("VmHWM"))


def _faults(message: str) -> list[str]:
    """Return the fault of an error message; empty if there is none."""
    found = [] if message.isprintable() else [f"not printable: {message!r}"]
    return found if len(message) <= MAX_MESSAGE else [*found, f"too long: {message!r}"]


def memory_mb(field: str) -> int:
    """Return this process's memory: VmRSS, or VmHWM for its peak."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) >> 10
