#!/usr/bin/env bash
# h2load against the server: many streams on few connections, HTTP/2 and HTTP/1.1; every request must succeed.
set -euo pipefail

url=${FERRY_URL:-http://127.0.0.1:8080}
requests=${REQUESTS:-2000}
streams=${STREAMS:-200}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '{"messages":[{"role":"user","content":"What is 347 + 285?"}],"temperature":0}' >"$work/sum"
printf '{"messages":[{"role":"user","content":"What is 347 + 285?"}],"temperature":0,"stream":true}' >"$work/stream"
key=()
[[ -n ${FERRY_API_KEY:-} ]] && key=(--header "authorization: Bearer $FERRY_API_KEY")

# load TITLE REQUESTS [h2load arguments…]
load() {
    local title=$1 count=$2
    shift 2
    h2load --requests="$count" "${key[@]}" "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "FAIL  $title: h2load ended with an error"; exit 1; }
    if ! grep --quiet " $count succeeded, 0 failed, 0 errored, 0 timeout" "$work/log" || ! grep --quiet "status codes: $count 2xx" "$work/log"; then
        cat "$work/log"
        echo "FAIL  $title: not every request succeeded"
        exit 1
    fi
    echo "ok    $title: $(grep '^finished in' "$work/log")"
}

json=(--header 'content-type: application/json')
load 'GET, HTTP/2' "$requests" --clients=4 --max-concurrent-streams=50 "$url/v1/models"
load 'GET, HTTP/1.1' "$requests" --h1 --clients=8 "$url/v1/models"
load 'answers, HTTP/2' "$streams" --clients=2 --max-concurrent-streams=50 "${json[@]}" --data="$work/sum" "$url/v1/chat/completions"
load 'streams, HTTP/2' "$streams" --clients=2 --max-concurrent-streams=100 "${json[@]}" --data="$work/stream" "$url/v1/chat/completions"
load 'streams, HTTP/1.1' "$streams" --h1 --clients=50 "${json[@]}" --data="$work/stream" "$url/v1/chat/completions"
echo 'all passed'
