#!/usr/bin/env bash
# Starts the server. Creates .venv and installs the pinned dependencies first, if necessary.
# Arguments are passed to the server:  scripts/serve.sh --port 8080 --fps 60   (--help lists them)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
ensure_environment tools
ensure_tracker
exec .venv/bin/python -m server "$@"
