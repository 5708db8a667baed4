"""Calls: participants who share one link, each with a seat and a stream."""
