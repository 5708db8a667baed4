"""Requirements to make an avatar, checked before a file is uploaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from server.avatar_store.command import ROOT
from server.avatar_store.job import JobKind

_SCRIPT = "scripts/make_avatar.py"
_PACKAGES = (
    "mediapipe",
    "scipy",
    "cv2",
    "tensorboard",
    "tqdm",
    "tyro",
    "matplotlib",
    "flip_evaluator",
)
"""Modules that the command imports, of the extras `capture` and `training`."""


def missing_requirements(kind: JobKind, root: Path = ROOT) -> str | None:
    """Return what this installation lacks for a kind of job, with the remedy; None if nothing.

    Args:
        kind: Kind of the job.
        root: The folder with `scripts`.
    """
    if kind == "archive":
        return None
    if not (root / _SCRIPT).is_file():
        return (
            f"this server takes archives only: expected {_SCRIPT} beside it, got no such file. "
            "Run the server from a checkout of the project, or make the avatar there with "
            f"{_SCRIPT} --video and add its archive"
        )
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    if absent:
        return (
            f"this server takes archives only: expected {', '.join(absent)} to be installed: "
            "pip install '.[capture,training]' in the folder of the project"
        )
    return None
