# Sourced by test_docker.sh in the root of the project: provides a Docker engine and a base image if there are none.

# start_engine FOLDER: uses the running engine, or starts one with its data in FOLDER. Returns 1 and prints the reason
# if it cannot. The engine gets no network of its own: builds and containers use that of the host.
start_engine() {
  local folder=$1
  if docker version >/dev/null 2>&1; then return 0; fi
  if [ "$(id -u)" != 0 ]; then echo "no Docker engine is running, and only root can start one"; return 1; fi
  if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
    if ! command -v apt-get >/dev/null || ! { apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io >/dev/null; } 2>&1; then
      echo "no Docker engine is running, and none can be installed"
      return 1
    fi
  fi
  export DOCKER_HOST="unix://$folder/engine.sock"
  dockerd --data-root "$folder/data" --exec-root "$folder/exec" --host "$DOCKER_HOST" --pidfile "$folder/engine.pid" \
    --bridge none --iptables=false >"$folder/engine.log" 2>&1 &
  engine=$!
  for _ in $(seq 60); do
    if docker version >/dev/null 2>&1; then return 0; fi
    if ! kill -0 "$engine" 2>/dev/null; then break; fi
    sleep 0.5
  done
  echo "the Docker engine did not start: $(grep -iE 'fail|error' "$folder/engine.log" | tail -1)"
  stop_engine "$folder"
  return 1
}

# stop_engine FOLDER: stops the engine that start_engine started there, if any.
stop_engine() {
  if [ -z "${engine:-}" ]; then return; fi
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
  engine=""
  umount "$1"/exec/netns/* 2>/dev/null || true # the engine leaves these mounts, and the folder cannot be removed before
}

# ensure_base_image FOLDER: unless BASE_IMAGE is set or the Dockerfile's default can be pulled, creates a base image of
# this machine's Debian, with its trusted certificates, and exports BASE_IMAGE. Returns 1 and prints the reason if it cannot.
ensure_base_image() {
  local folder=$1 usual suite
  usual=$(sed -n 's/^ARG BASE_IMAGE=//p' docker/Dockerfile)
  if [ -n "${BASE_IMAGE:-}" ] || docker image inspect "$usual" >/dev/null 2>&1; then return 0; fi
  if timeout 60 docker pull --quiet "$usual" >/dev/null 2>&1; then return 0; fi
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  if [ "$(id -u)" != 0 ] || [ ! -e "/etc/debian_version" ]; then
    echo "$usual cannot be pulled, and only root on Debian can create another base image"
    return 1
  fi
  if ! command -v debootstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
  fi
  if ! debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates "$suite" "$folder/root" \
    >"$folder/debootstrap.log" 2>&1; then
    echo "cannot create a base image: $(tail -1 "$folder/debootstrap.log")"
    return 1
  fi
  cp /etc/ssl/certs/ca-certificates.crt "$folder/root/etc/ssl/certs/"
  cp -r /etc/apt/sources.list* "$folder/root/etc/apt/"
  export BASE_IMAGE="debian-python:$suite"
  tar -C "$folder/root" -c . |
    docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' - "$BASE_IMAGE" >/dev/null
  rm -rf "$folder/root"
}
