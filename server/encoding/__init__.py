"""Video and image encoders; none of them knows about sessions."""
