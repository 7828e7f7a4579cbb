#!/usr/bin/env bash
# nghttp, nghttp2's own client, against the server in clear text: prior knowledge, upgrade, many requests on one connection.
set -euo pipefail

url=${FERRY_URL:-http://127.0.0.1:8080}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '{"messages":[{"role":"user","content":"What is 347 + 285?"}],"temperature":0}' >"$work/sum"
key=()
[[ -n ${FERRY_API_KEY:-} ]] && key=(--header "authorization: Bearer $FERRY_API_KEY")

# ask TITLE TIMES [nghttp arguments…]: exactly TIMES responses with status 200 and no connection error.
ask() {
    local title=$1 times=$2 found
    shift 2
    nghttp --verbose --no-verify-peer --timeout=60 "${key[@]}" "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log"; echo "FAIL  $title: nghttp ended with an error"; exit 1; }
    found=$(grep --count ':status: 200' "$work/log" || true)
    if [[ $found != "$times" ]] || grep --quiet --extended-regexp 'recv RST_STREAM|Some requests were not processed' "$work/log"; then
        tail -n 60 "$work/log"
        echo "FAIL  $title: $found responses with status 200, $times expected, and no reset"
        exit 1
    fi
    echo "ok    $title"
}

post=(--header 'content-type: application/json' --data "$work/sum")
ask 'GET' 1 "$url/v1/models"
ask 'POST' 1 "${post[@]}" "$url/v1/chat/completions"
grep --quiet 632 "$work/log" || { echo 'FAIL  the answer lacks 632'; exit 1; }
ask 'POST without content-length' 1 "${post[@]}" --no-content-length "$url/v1/chat/completions"
ask 'upgrade with GET' 1 --upgrade "$url/v1/models"
grep --quiet 'HTTP Upgrade success' "$work/log" || { echo 'FAIL  the upgrade was ignored'; exit 1; }
ask 'upgrade with POST' 1 --upgrade "${post[@]}" "$url/v1/chat/completions"
ask '100 GET on one connection' 100 --null-out --multiply=100 "$url/v1/models"
ask '40 POST on one connection' 40 --null-out --multiply=40 "${post[@]}" "$url/v1/chat/completions"
ask 'small windows' 4 --null-out --multiply=4 --window-bits=10 --connection-window-bits=10 "${post[@]}" "$url/v1/chat/completions"
ask 'padding, continuation and a small header table' 1 --padding=64 --continuation --header-table-size=0 "${post[@]}" "$url/v1/chat/completions"
ask 'trailers' 1 --trailer 'x-end: yes' "${post[@]}" "$url/v1/chat/completions"
echo 'all passed'
