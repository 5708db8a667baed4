#!/usr/bin/env bash
# Runs every check of the project, after installing what the checks need. Arguments are passed to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

# Programs that pip does not provide come from packages of Debian or Ubuntu.
ensure_program() {
  local program=$1 package=$2
  if command -v "$program" >/dev/null; then return; fi
  local root=""
  [ "$(id -u)" = 0 ] || root=sudo
  echo "installing $package ..." >&2
  $root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq "$package" >/dev/null
}

ensure_environment dev
ensure_program chromium chromium
ensure_program node nodejs
ensure_program turnserver coturn
ensure_program ip iproute2
ensure_program iptables iptables

# One thread per process: the tests start servers and workers, which would compete for the cores.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

step() { echo "== $*" >&2; "$@"; }
step .venv/bin/ruff check .
step .venv/bin/ruff format --check .
step .venv/bin/mypy models server scripts tests
step node --test $(find tests/client_web -name "*.test.js")
step .venv/bin/python -m pytest "$@"
