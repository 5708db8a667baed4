"""Compiled CPU kernels (numba) of the latency path, each the twin of a plain torch function."""
