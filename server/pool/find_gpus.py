"""Prints the GPUs that torch can use, and why there are none, as JSON.

python -m server.pool.find_gpus
"""

from __future__ import annotations

import json
import sys

from server.pool.engine import find_gpus

if __name__ == "__main__":
    json.dump(find_gpus(), sys.stdout)
