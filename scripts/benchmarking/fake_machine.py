"""A router and a host for each of several fake devices (`fake_host.py`).

python -m scripts.benchmarking.fake_machine --devices cuda:0,cuda:1 -- --fps 30
"""

from __future__ import annotations

import sys

from server.cluster import __main__ as program


def main(arguments: list[str]) -> int:
    """Run the router until SIGINT or SIGTERM; return the exit code."""
    return program.main(
        arguments, "scripts.benchmarking.fake_host", lambda wanted: wanted.split(",")
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
