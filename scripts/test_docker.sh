#!/usr/bin/env bash
# Builds the image and tests it as docker/README.md runs it: without root, read-only, with tokens. Posts a stream,
# watches it in Chromium, and stops the container. Needs a Docker engine; reads BASE_IMAGE and DOCKER_HOST from the
# environment. With --start-engine (as root) it starts an engine and creates a base image if there are none.
# With --cuda it builds the target for NVIDIA GPUs instead (20 GB of disk) and inspects it, which needs no GPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh
source scripts/docker_engine.sh

skip() {
  echo "test_docker: skipped, $*"
  exit 0
}

work=$(mktemp -d /var/tmp/telewarp-docker-XXXXXX)
container=telewarp-test-$$
clean_up() {
  docker rm -f "$container" >/dev/null 2>&1 || true
  stop_engine "$work"
  rm -rf "$work"
}
trap clean_up EXIT

start="" target=server
for argument in "$@"; do
  case $argument in
    --start-engine) start=$argument ;;
    --cuda) target=cuda ;;
    *) echo "test_docker: expected --start-engine or --cuda, got $argument" >&2; exit 2 ;;
  esac
done
if [ "$start" = --start-engine ]; then
  why=$(mktemp "$work/why-XXXX")
  start_engine "$work" >"$why" || skip "$(tail -1 "$why")"
  ensure_base_image "$work" >"$why" || skip "$(tail -1 "$why")"
fi
docker version >/dev/null 2>&1 || skip "no Docker engine is reachable (docker version)"
ensure_environment dev
if [ "$start" = --start-engine ]; then
  # Use the package index and the torch build of this machine: other indexes may provide a build with gigabytes of CUDA.
  PIP_INDEX_URL=${PIP_INDEX_URL:-$(.venv/bin/pip config get global.index-url 2>/dev/null || true)}
  [ "$target" = cuda ] || compgen -G "docker/wheels/torch-*" >/dev/null ||
    .venv/bin/pip download --quiet --no-deps -c scripts/constraints.txt -d docker/wheels torch 2>/dev/null || true
fi

port=${PORT:-18080}
image=telewarp:test

docker build --network host ${BASE_IMAGE:+--build-arg BASE_IMAGE="$BASE_IMAGE"} \
  ${PIP_INDEX_URL:+--build-arg PIP_INDEX_URL="$PIP_INDEX_URL"} \
  ${PIP_EXTRA_INDEX_URL:+--build-arg PIP_EXTRA_INDEX_URL="$PIP_EXTRA_INDEX_URL"} \
  $([ "$target" = server ] || echo --target "$target") \
  --file docker/Dockerfile --tag "$image" . >"$work/build.log" || { tail -30 "$work/build.log"; exit 1; }
echo "image: $(docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%.2f GB", $1 / 1e9}')"

if [ "$target" = cuda ]; then
  # What can be told without a GPU: the build of torch, Triton and its compiler, the encoder, the program.
  docker run --rm --network none --read-only --tmpfs /tmp:exec --entrypoint python "$image" -c '
import os, shutil, av, torch, triton
assert torch.version.cuda, "expected a build of torch with CUDA: is the CPU wheel in docker/wheels?"
assert shutil.which("gcc"), "expected gcc, which Triton needs"
assert av.codec.Codec("h264_nvenc", "w").is_encoder
assert "video" in os.environ["NVIDIA_DRIVER_CAPABILITIES"].split(","), "expected the encoder of the driver"
assert os.environ["TELEWARP_DEVICE"] == "cuda" and os.environ["TRITON_CACHE_DIR"].startswith("/tmp/")
print("torch", torch.__version__, "for CUDA", torch.version.cuda, *torch.cuda.get_arch_list(), "triton", triton.__version__)'
  docker run --rm --network none --read-only --tmpfs /tmp:exec "$image" --help | grep -q -- --device
  if docker run --rm --network none --read-only --tmpfs /tmp:exec --env TELEWARP_INSECURE=true "$image" 2>"$work/refusal.log"; then
    echo "test_docker: expected the server to refuse to start without a GPU, but it started" >&2
    exit 1
  fi
  grep -q "device must be one of auto, cpu here" "$work/refusal.log"
  echo "without a GPU: $(tail -1 "$work/refusal.log")"
  exit 0
fi

if docker run --rm --network host "$image" 2>"$work/refusal.log"; then
  echo "test_docker: expected the server to refuse to start without tokens, but it started" >&2
  exit 1
fi
grep -q -- "--tokens" "$work/refusal.log"
echo "without tokens: $(tail -1 "$work/refusal.log")"

token=$(.venv/bin/python -m scripts.make_token --tokens "$work/tokens.toml" --scope publish --scope view --minutes 30)
chmod 755 "$work" && chmod 644 "$work/tokens.toml" # the container runs as another user
docker run --detach --name "$container" --network host --read-only --tmpfs /tmp --shm-size 1g --cap-drop ALL \
  --security-opt no-new-privileges --volume "$work/tokens.toml:/run/tokens.toml:ro" \
  --env TELEWARP_TOKENS=/run/tokens.toml --env TELEWARP_PORT="$port" "$image" >/dev/null

started=$SECONDS
until .venv/bin/python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/readyz', timeout=2)" 2>/dev/null; do
  if [ $((SECONDS - started)) -gt 180 ] || [ "$(docker inspect --format '{{.State.Running}}' "$container")" != true ]; then
    docker logs "$container" >&2
    exit 1
  fi
  sleep 1
done
echo "ready after $((SECONDS - started)) s, as user $(docker exec "$container" id -u)"

.venv/bin/python scripts/smoke_test.py "http://127.0.0.1:$port" --token "$token" ${SCREENSHOT:+--screenshot "$SCREENSHOT"}

stopped=$SECONDS
docker stop --time 20 "$container" >/dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
echo "stopped within $((SECONDS - stopped + 1)) s, exit code $code"
[ "$code" = 0 ]
