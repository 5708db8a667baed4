"""Session limit, queue, measured capacity and draining."""
