#!/usr/bin/env bash
# Publish a talking face with curl: first two single frames, then a live body of one frame per line.
#
#     scripts/examples/publish_curl.sh http://127.0.0.1:8000 me 20
#
# A server that asks for a token gets the one in TELEWARP_TOKEN (scope `publish`).
set -euo pipefail
url=${1:-http://127.0.0.1:8000} stream=${2:-me} seconds=${3:-20}

call() { curl --silent --show-error --fail-with-body ${TELEWARP_TOKEN:+-H "Authorization: Bearer $TELEWARP_TOKEN"} "$@"; }

call "$url/v1/streams" -H "Content-Type: application/json" -d "{\"id\": \"$stream\", \"avatar\": \"default\"}"
trap 'call -X DELETE "$url/v1/streams/$stream"' EXIT
echo
echo "watch it at $url/?stream=$stream"

# One frame per request, or several in an array: for slow changes, and to try the API.
call "$url/v1/streams/$stream/frames" -H "Content-Type: application/json" \
  -d '[{"seq": 0, "expression": {"jawOpen": 0.5}}, {"seq": 1, "expression": {"mouthSmileLeft": 0.4}}]'
echo

# One request for all frames. `--upload-file -` sends standard input as it is written, in chunks; --data-binary would
# read all of it first.
frames() {
  for seq in $(seq 2 $((seconds * 10 + 1))); do
    echo "{\"seq\": $seq, \"expression\": {\"jawOpen\": 0.$((seq % 7))}}"
    sleep 0.1
  done
}
frames | call --no-buffer -X POST "$url/v1/streams/$stream/frames" -H "Content-Type: application/x-ndjson" \
  -H "Expect:" --upload-file -
echo
