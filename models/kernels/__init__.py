"""Compiled CPU kernels (numba) of the latency path; each has a plain torch equivalent."""
