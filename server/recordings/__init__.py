"""Recordings of streams: received mesh frames and voice on disk, and their replay."""
