"""Fuzz the importers: mutate real files at random, and check how they are read.

    .venv/bin/python scripts/fuzz.py ../shared/cases models/avatars/default/head.npz --minutes 10

Files are taken by their suffixes, from folders too: meshes (.glb, .gltf, .obj), FLAME's models
(.pkl, .npz), head files (.npz), recordings (.csv, .json), checkpoints of the paper's authors
(commandline_args.txt, checkpoints/*.tar). A changed file must be read, or refused in one line
within 2 s of processor time, and with 300 MB. Any other result is a fault: it is printed, and the
file is stored in `--keep`. Ends with a line of JSON for each suffix; the exit code is 1 if there
were faults. The same seed changes the files in the same order.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Annotated

import tyro

from scripts.fuzzing.importers import IMPORTERS, Outcome, memory_mb, try_file
from scripts.fuzzing.mutations import mutate

MAX_SECONDS, MAX_MB = 2.0, 300
"""Limits of processor time, and of memory in addition to that before."""
_HANG_S = 30.0
"""Timeout after which a reader is killed, seconds; longer than `MAX_SECONDS` because of other load
of the machine."""
_MAX_FILE_BYTES = 8 << 20
"""Maximum size of mutated files, because larger ones leave little time for others."""


@dataclass(frozen=True)
class Arguments:
    """Fuzz the importers."""

    files: Annotated[list[Path], tyro.conf.Positional]
    """Files to change, or folders of them."""
    minutes: float = 1.0
    """Duration."""
    seed: int | None = None
    """Seed of the changes; default: a new one, which is printed."""
    keep: Path = Path("runs/fuzz")
    """Folder for files that show a fault."""


@dataclass
class Tally:
    """Outcomes of the files of one suffix."""

    files: int = 0
    accepted: int = 0
    faults: int = 0
    slowest_s: float = 0.0
    most_mb: int = 0
    """Memory in addition to that before the first file, MB."""

    def add(self, outcome: Outcome, base_mb: int) -> None:
        """Count an outcome."""
        self.files += 1
        self.accepted += outcome.accepted
        self.slowest_s = round(max(self.slowest_s, outcome.seconds), 2)
        self.most_mb = max(self.most_mb, outcome.peak_mb - base_mb)


class Reader:
    """A process that reads files, replaced when it hangs or dies.

    Args:
        examples: Files that it reads before the measurement, because kernels are compiled at their
            first use.
    """

    def __init__(self, examples: list[Path]) -> None:
        self._context, self._examples = multiprocessing.get_context("spawn"), examples
        self._start()

    def _start(self) -> None:
        self._own, other = self._context.Pipe()
        self._process = self._context.Process(
            target=_read_files, args=(other, self._examples), daemon=True
        )
        self._process.start()
        other.close()
        self.first_mb = self.last_mb = int(self._own.recv())

    def read(self, path: Path, source: Path) -> Outcome | str:
        """Return the outcome; a text if the process had to be replaced."""
        self._own.send((path, source))
        try:
            if self._own.poll(_HANG_S):
                outcome, self.last_mb = self._own.recv()
                return Outcome(**outcome)
            problem = f"no answer within {_HANG_S:g} s"
        except EOFError:
            self._process.join()
            problem = f"the process ended with {self._process.exitcode}"
        self.close()
        self._start()
        return problem

    def close(self) -> None:
        """End the process."""
        self._own.close()
        self._process.kill()
        self._process.join()


def _read_files(connection: Connection, examples: list[Path]) -> None:
    """Read files until the connection ends; runs in a process of its own."""
    for example in examples:
        try_file(example, example)
    connection.send(memory_mb("VmRSS"))
    while True:
        try:
            path, source = connection.recv()
        except EOFError:
            return
        connection.send((asdict(try_file(path, source)), memory_mb("VmRSS")))


@dataclass
class Session:
    """A run of the fuzzer."""

    arguments: Arguments
    tallies: dict[str, Tally] = field(default_factory=dict)

    def run(self, sources: list[Path], seed: int) -> int:
        """Change and read files until the time is over. Returns the number of faults."""
        self.arguments.keep.mkdir(parents=True, exist_ok=True)
        random, reader = Random(seed), Reader(sources)
        end = time.monotonic() + 60 * self.arguments.minutes
        for number, source in enumerate(_endless(sources, random)):
            if time.monotonic() > end:
                break
            path = self.arguments.keep / f"{seed}-{number}{source.suffix}"
            path.write_bytes(mutate(source.read_bytes(), source.suffix, random))
            self._judge(path, source, reader)
        growth = reader.last_mb - reader.first_mb
        reader.close()
        for suffix, tally in sorted(self.tallies.items()):
            print(json.dumps({"suffix": suffix, **asdict(tally)}))
        print(json.dumps({"seed": seed, "growth_mb": growth}))
        return sum(tally.faults for tally in self.tallies.values())

    def _judge(self, path: Path, source: Path, reader: Reader) -> None:
        tally = self.tallies.setdefault(source.suffix, Tally())
        outcome = reader.read(path, source)
        if isinstance(outcome, Outcome):
            tally.add(outcome, reader.first_mb)
            fault = outcome.fault
            # An accepted file may take as long as its contents require.
            if not outcome.accepted and outcome.seconds > MAX_SECONDS:
                fault += f"\ntook {outcome.seconds:.1f} s"
            if outcome.peak_mb - reader.first_mb > MAX_MB:
                fault += f"\ntook {outcome.peak_mb - reader.first_mb} MB"
        else:
            tally.files, fault = tally.files + 1, outcome
        if fault:
            tally.faults += 1
            print(f"{path} (from {source}): {fault.strip()}", flush=True)
        else:
            path.unlink()


def _endless(sources: list[Path], random: Random) -> Iterator[Path]:
    """Yield sources at random, all suffixes equally often."""
    suffixes = sorted({source.suffix for source in sources})
    while True:
        suffix = random.choice(suffixes)
        yield random.choice([source for source in sources if source.suffix == suffix])


def find_files(given: list[Path]) -> list[Path]:
    """Return the files, and those of folders, that an importer reads."""
    found = [p for path in given for p in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    known = [path for path in found if path.suffix in IMPORTERS and path.is_file()]
    # Other .txt and .json files are neither options nor recordings.
    return [
        path
        for path in known
        if path.stat().st_size <= _MAX_FILE_BYTES
        and (path.suffix != ".txt" or path.name == "commandline_args.txt")
    ]


def main(arguments: Arguments) -> int:
    """Run the fuzzer. Returns the exit code."""
    sources = find_files(arguments.files)
    if not sources:
        print(f"fuzz: expected files ending in {', '.join(IMPORTERS)}", file=sys.stderr)
        return 1
    seed = Random().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}, {len(sources)} files", flush=True)
    return 1 if Session(arguments).run(sources, seed) else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
