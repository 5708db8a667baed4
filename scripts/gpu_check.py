"""Check a GPU in at most eight minutes: correctness, speed, processes, faults.

    python scripts/gpu_check.py                     # the first GPU
    python scripts/gpu_check.py --dry-run           # the same on the CPU, as far as that goes
    python scripts/gpu_check.py --only speed beside

Needs torch, Triton and numba; other packages of the server are used where they are installed. Each
check runs in a process of its own with a time limit, so that a GPU that fails or hangs costs one
check. The results are written after each check, to gpu_check.json by default: OK with the values,
MISSED with the goals that the speed does not reach, WRONG with what was expected, SKIP with the
reason, or FAILED with the end of the error. The exit code is 1 if one is WRONG or FAILED.

A dry run renders frames of 64x64 by the kernels in Triton's interpreter, and times the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

DRY_RUN_SLOWER = 4.0
"""Factor of the time limits of a dry run: full renders take half a second on a shared CPU."""


@dataclass(frozen=True)
class Step:
    """One check and its time limit."""

    name: str
    limit_s: float
    what: str


STEPS = (
    Step("versions", 30, "versions of software and devices"),
    Step("correctness", 100, "full render, warp, crossfade and batch against the CPU's"),
    Step("speed", 80, "ms of a warp, a refresh and a full render; launches and copies of a warp"),
    Step("counts", 30, "launches, copies and bytes of a frame; needs no GPU"),
    Step("kernels", 60, "the kernels against their reference implementations"),
    Step("batches", 60, "frames per second of 1, 2, 4 and 8 viewers at once"),
    Step("beside", 60, "ms of a warp beside refreshes in another process, and on another stream"),
    Step("pool", 60, "caches from a worker over IPC, before and after it is killed"),
    Step("viewers", 60, "memory after 50 viewers, and after a killed worker"),
    Step("illegal_access", 45, "an illegal access costs one process"),
    Step("encoder", 30, "NVENC, or x264 in its place"),
    Step("sanitizer", 60, "compute-sanitizer on a warp and a refresh"),
)


def main(arguments: list[str]) -> int:
    """Run the checks. Returns the exit code."""
    wanted = _parser().parse_args(arguments)
    device = "cpu" if wanted.dry_run else wanted.device
    slower = DRY_RUN_SLOWER if wanted.dry_run else 1.0
    ends_at = time.monotonic() + wanted.limit_s * slower
    results: dict[str, Any] = {"device": device, "dry_run": wanted.dry_run, "checks": {}}
    for step in STEPS:
        if wanted.only and step.name not in wanted.only:
            continue
        limit_s = min(step.limit_s * slower, ends_at - time.monotonic())
        result = _run(step.name, device, wanted.rounds, limit_s)
        results["checks"][step.name] = result
        wanted.out.write_text(json.dumps(results, indent=1) + "\n")
        print(f"{step.name:15} {result['took_s']:5.1f} s  {result['result']}", flush=True)
        if values := result.get("values"):
            print(f"{'':15} {json.dumps(values)}", flush=True)
    outcomes = [check["result"] for check in results["checks"].values()]
    return 1 if any(outcome.startswith(("WRONG", "FAILED")) for outcome in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    steps = "\n".join(f"  {step.name:15} {step.what}" for step in STEPS)
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"checks:\n{steps}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cuda:0", help="default: cuda:0")
    parser.add_argument("--dry-run", action="store_true", help="run on the CPU")
    parser.add_argument("--only", nargs="+", choices=[step.name for step in STEPS], default=[])
    parser.add_argument("--rounds", type=int, default=200, help="repetitions of a measurement")
    parser.add_argument("--limit-s", type=float, default=480, help="of all checks together")
    parser.add_argument("--out", type=Path, default=Path("gpu_check.json"))
    return parser


def _run(name: str, device: str, rounds: int, limit_s: float) -> dict[str, Any]:
    """Run one check in a process of its own."""
    if limit_s <= 0:
        return {"result": "SKIP: no time is left", "took_s": 0.0}
    began = time.monotonic()
    command = [sys.executable, "-m", "scripts.gpu_checks.run", name, device]
    with subprocess.Popen(
        [*command, "--rounds", str(rounds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=limit_s)
            result = _result(output, errors, process.returncode)
        except subprocess.TimeoutExpired:
            result = {"result": f"FAILED: not done within {limit_s:g} s"}
        finally:
            _kill_session(process)
    return {**result, "took_s": round(time.monotonic() - began, 1)}


def _kill_session(process: subprocess.Popen[str]) -> None:
    """Kill a check and the processes that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _result(output: str, errors: str, code: int) -> dict[str, Any]:
    lines = output.strip().splitlines()
    if code == 0 and lines and lines[-1].startswith("{"):
        result: dict[str, Any] = json.loads(lines[-1])
        return result
    return {"result": f"FAILED: code {code}: {' | '.join(errors.strip().splitlines()[-3:])}"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
