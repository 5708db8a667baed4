"""Run one check and print its result as a line of JSON.

python -m scripts.gpu_checks.run pool cpu
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from scripts.gpu_checks.check import Check, MissedError, SkipError, Target, WrongError
from scripts.gpu_checks.plain_files import provide_missing_packages

# Here, and not in `main`: a process that the pool spawns imports this module before anything that
# needs the packages. It would not if this were `__main__.py`.
provide_missing_packages()


def main() -> int:
    """Run the check. Returns 0 for any result; a process that dies has no result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("device")
    parser.add_argument("--rounds", type=int, default=200)
    wanted = parser.parse_args()
    result: dict[str, object]
    try:
        values = find_check(wanted.name)(Target(wanted.device, wanted.rounds))
        result = {"result": "OK", "values": values}
    except SkipError as exc:
        result = {"result": f"SKIP: {exc}"}
    except MissedError as exc:
        result = {"result": f"MISSED: {exc}", "values": exc.values}
    except WrongError as exc:
        result = {"result": f"WRONG: {exc}", "values": exc.values}
    print(json.dumps(result))
    return 0


MODULES = {
    "versions": "machine",
    "illegal_access": "machine",
    "correctness": "render",
    "speed": "render",
    "batches": "render",
    "beside": "render",
    "pool": "processes",
    "viewers": "processes",
    "counts": "counts",
    "kernels": "tools",
    "encoder": "tools",
    "sanitizer": "tools",
}
"""Modules of this package by the name of their check, which is the name of a function in them."""


def find_check(name: str) -> Check:
    """Return a check; its module is imported only now, after the stand-ins are installed."""
    module = importlib.import_module(f"scripts.gpu_checks.{MODULES[name]}")
    check: Check = getattr(module, name)
    return check


if __name__ == "__main__":
    sys.exit(main())
