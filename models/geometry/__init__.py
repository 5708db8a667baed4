"""Cameras, the parametric head, and the rasterizers."""
