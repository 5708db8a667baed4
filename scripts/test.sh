#!/usr/bin/env bash
# Every check of the project, after installing what they need. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh

# Debian's and Ubuntu's packages for what pip does not bring.
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
ensure_program npm npm
ensure_program turnserver coturn
ensure_program ip iproute2
ensure_program iptables iptables

# One thread per test process: the suite starts servers and workers of its own.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

step() { echo "== $*" >&2; "$@"; }
step .venv/bin/ruff check .
step .venv/bin/ruff format --check .
step .venv/bin/mypy models server
step scripts/check_client.sh
step .venv/bin/python -m pytest "$@"
