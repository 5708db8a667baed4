"""The studio: an offline renderer that makes the ground-truth images of a head."""
