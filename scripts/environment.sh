# Sourced by the other scripts in the root of the project: creates .venv with the pinned dependencies.

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
      echo "$candidate"
      return
    fi
  done
  echo "Telewarp needs Python 3.11, 3.12 or 3.13; none was found on the PATH." >&2
  exit 1
}

# ensure_environment EXTRA: installs the project with that extra, unless this was done after the last change of
# pyproject.toml and the pins.
ensure_environment() {
  local extra=$1 stamp=.venv/.installed-$1 wanted python
  wanted=$(cat pyproject.toml scripts/constraints.txt | sha256sum)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    echo "creating .venv ..." >&2
    if ! "$python" -m venv .venv; then
      rm -rf .venv
      echo "Python cannot create virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2
      exit 1
    fi
  fi
  echo "installing dependencies (once; a few minutes) ..." >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint scripts/constraints.txt --editable ".[$extra]"
  echo "$wanted" >"$stamp"
}

# ensure_tracker: installs the browser's face tracker, or says that it could not: only going live from a camera needs it.
ensure_tracker() {
  .venv/bin/python scripts/install_tracker.py || true
}
