"""Avatar folders on disk: the manifest; loading, saving and validation."""
