"""Viewer sessions: state, pacing, shared views, statistics."""
