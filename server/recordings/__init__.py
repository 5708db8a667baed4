"""Recordings of streams: what a stream was told, on disk, and its replay."""
