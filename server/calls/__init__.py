"""Calls: people who meet by one link, each with a seat and a stream."""
