"""Limits the linear algebra of numpy and scipy to one thread, for programs that import this first.

OpenBLAS shares even a product of 940 by 58 numbers among all cores and waits for each of them. On a
busy machine that takes far longer than the product: fitting a head to 100 frames of a video took 62
s at a load of 13, and 1.4 s with one thread. The variable is read when numpy is loaded; torch has
threads of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
