"""Leaks after viewers connect and disconnect, workers are killed and publishers disconnect.

The one-hour run is `scripts/soak.py --cycles 100000 --limit-s 3600 --faults-every 20`.
"""

from __future__ import annotations

import json

from tests.scripts.conftest import Run


def test_viewers_and_faults_leak_no_resources(run: Run) -> None:
    done = run("soak.py", "--cycles", 30, "--limit-s", 25, "--faults-every", 4)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["cycles"] >= 10
    assert result["faults"] >= 2
    assert result["sessions_left"] == 0
    early, end = result["early"], result["end"]
    assert end["shared_blocks"] <= early["shared_blocks"]
    for what in ("threads", "files", "worker_files"):
        assert abs(end[what] - early[what]) <= 3, (what, early, end)
    assert end["server"] - early["server"] < 60, (early, end)
