"""The HTTP calls, one file per noun. Errors of `server.errors` pass through to `server.app`."""
