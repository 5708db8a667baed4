"""An avatar folder on disk: manifest, load, save, validate."""
