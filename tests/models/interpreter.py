"""Imports triton for its interpreter, so that the CUDA kernels can be tested without a GPU.

Triton decides at its import whether its functions are compiled or interpreted, so this module is
imported before anything that imports triton (`tests/models/conftest.py`). The variable is set only
during these imports: processes that tests start are not affected.
"""

from __future__ import annotations

import os
import sys

VARIABLE = "TRITON_INTERPRET"

assert "triton" not in sys.modules, "triton was imported before TRITON_INTERPRET was set"
os.environ[VARIABLE] = "1"
try:
    import triton.experimental.gluon  # noqa: F401 - otherwise imported at the first launch

    import models.kernels.cuda.live_path  # noqa: F401
finally:
    del os.environ[VARIABLE]
