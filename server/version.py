"""The version of Telewarp, which `pyproject.toml` and the API description read from here.

A constant and not `importlib.metadata`: the container runs the source tree without installing it.
"""

VERSION = "0.1.0"
