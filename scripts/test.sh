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
ensure_program npm npm
ensure_program turnserver coturn
ensure_program nginx nginx
ensure_program caddy caddy
ensure_program ip iproute2
ensure_program iptables iptables
ensure_tracker
.venv/bin/python scripts/install_tracker.py --capture || true # without it, the tests of videos are skipped

# One thread per process: the tests start servers and workers, which would compete for the cores.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# Without bytecode every program that a test starts would compile the modules of the project again.
unset PYTHONDONTWRITEBYTECODE

step() { echo "== $*" >&2; "$@"; }

static_checks() {
  step .venv/bin/mypy models server scripts tests
  step scripts/check_client.sh
}

# Compiles what a render needs and what the studio needs side by side: 26 s and 17 s of processor time.
compile_kernels() {
  .venv/bin/python -c '
from models.avatar.folder import SHIPPED, load_avatar
from models.runtime.renderer import CachedRenderer
CachedRenderer(load_avatar(SHIPPED / "default"), "cpu", 1).warm_up()' &
  local renderer=$!
  .venv/bin/python -c '
from models.avatar.folder import SHIPPED, load_avatar
from models.contract.frame_state import neutral_state
from models.studio.studio import load_studio
avatar = load_avatar(SHIPPED / "default").manifest
studio = load_studio(SHIPPED / "default" / "head.npz", 64, texture_size=64)
studio.render(neutral_state(len(avatar.expression_names), avatar.eye_position, avatar.fov_y_rad))'
  wait "$renderer"
}

step .venv/bin/ruff check .
step .venv/bin/ruff format --check .
if [ $# -gt 0 ]; then
  static_checks
  step .venv/bin/python -m pytest "$@"
  exit
fi

# Type checks and the tests that need no quiet machine share the cores. The others measure time: those that mostly wait
# run in pairs, the rest alone. The longest files come first, and one process runs all tests with a browser
# (tests/conftest.py). xdist would reorder the files by their number of tests. The checks, and the third process, only
# use what the others leave: three processes of equal priority were 45 s faster than two, but in each of three runs one
# or two tests failed beside others.
# Every part runs to its end, and the failures are listed last, where a truncated log still shows them.
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
(set -e; renice -n 10 $BASHPID >/dev/null; static_checks) >"$logs/checks" 2>&1 &
checks=$!
failed=()
# Otherwise the first servers and tests would all compile them at once, each for itself.
step compile_kernels
step .venv/bin/python -m pytest -n 3 --no-loadscope-reorder -m parallel | tee "$logs/parallel" || parallel_failed=1
wait "$checks" || failed+=("type checks or checks of the client")
cat "$logs/checks"
# Beside others a test may get too little processor time. What failed there has to pass alone, and is named at the end.
unstable=()
if [ -n "${parallel_failed:-}" ]; then
  mapfile -t unstable < <(grep -E '^(FAILED|ERROR) ' "$logs/parallel")
  step .venv/bin/python -m pytest -m parallel --last-failed --last-failed-no-failures none | tee "$logs/again" || failed+=("parallel tests")
fi
step .venv/bin/python -m pytest -n 2 --no-loadscope-reorder -m "not parallel and paired" | tee "$logs/paired" ||
  failed+=("paired tests")
step .venv/bin/python -m pytest -m "not parallel and not paired" | tee "$logs/serial" || failed+=("serial tests")
[ ${#unstable[@]} = 0 ] || printf 'failed beside other tests: %s\n' "${unstable[@]}" >&2
[ ${#failed[@]} = 0 ] && exit
printf 'failed: %s\n' "${failed[@]}" >&2
grep -hE '^(FAILED|ERROR) |error:|^not ok' "$logs"/* >&2 || true
exit 1
