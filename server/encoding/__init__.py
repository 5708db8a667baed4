"""Video and image encoders; independent of sessions."""
