#!/usr/bin/env bash
# Starts the server, after making .venv and installing pinned dependencies where that is still to do.
# Arguments go to the server:  scripts/serve.sh --port 8080 --fps 60   (--help lists them)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
ensure_environment tools
exec .venv/bin/python -m server "$@"
