"""Trackers that send faces by UDP: Live Link Face and VMC. Each subject drives a stream."""
