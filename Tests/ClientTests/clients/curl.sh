#!/usr/bin/env bash
# curl against the server: every way of speaking HTTP that curl has. With an https:// FERRY_URL, FERRY_CERTIFICATE is the PEM file to trust.
set -euo pipefail

url=${FERRY_URL:-http://127.0.0.1:8080}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sum='{"messages":[{"role":"user","content":"What is 347 + 285?"}],"temperature":0}'
options=(--silent --show-error --max-time 60 --noproxy '*')
[[ -n ${FERRY_CERTIFICATE:-} ]] && options+=(--cacert "$FERRY_CERTIFICATE")
[[ -n ${FERRY_API_KEY:-} ]] && options+=(--header "authorization: Bearer $FERRY_API_KEY")

fail() {
    echo "FAIL  $1"
    [[ -s $work/body ]] && head -c 2000 "$work/body"
    exit 1
}

# ask TITLE EXPECTED [curl arguments…]: EXPECTED is "version status"; the body is left in $work/body, the head in $work/head.
ask() {
    local title=$1 expected=$2 found
    shift 2
    found=$(curl "${options[@]}" --output "$work/body" --dump-header "$work/head" --write-out '%{http_version} %{http_code}' "$@") || fail "$title: curl ended with $?"
    [[ $found == "$expected" ]] || fail "$title: found '$found', expected '$expected'"
    echo "ok    $title"
}

body_has() { grep --quiet --fixed-strings -- "$1" "$work/body" || fail "the body lacks: $1"; }
head_has() { grep --quiet --ignore-case --extended-regexp -- "$1" "$work/head" || { cat "$work/head"; fail "the head lacks: $1"; }; }
json=(--header 'content-type: application/json')

# check_version NAME VERSION [curl arguments that choose the version…]
check_version() {
    local name=$1 version=$2
    shift 2
    ask "$name: GET" "$version 200" "$@" "$url/v1/models"
    body_has '"object":"list"'
    ask "$name: POST" "$version 200" "$@" "${json[@]}" --data "$sum" "$url/v1/chat/completions"
    body_has 632
    ask "$name: stream" "$version 200" "$@" "${json[@]}" --no-buffer --data "${sum%\}},\"stream\":true}" "$url/v1/chat/completions"
    head_has '^content-type: text/event-stream'
    [[ $(tail -n 2 "$work/body" | head -n 1) == 'data: [DONE]' ]] || fail "$name: the stream does not end with [DONE] and a blank line"
    ask "$name: HEAD" "$version 200" "$@" --head "$url/v1/models"
    head_has '^content-length: [1-9]'
    ask "$name: unknown path" "$version 404" "$@" "$url/no-such-path"
    body_has '"code":"route_not_found"'
    ask "$name: wrong method" "$version 405" "$@" "$url/v1/chat/completions"
    head_has '^allow: .*POST'
    body_has '"code":"method_not_allowed"'
    ask "$name: not JSON" "$version 400" "$@" "${json[@]}" --data '{"messages":' "$url/v1/chat/completions"
    body_has '"code":"invalid_json"'
    ask "$name: upload of unknown length" "$version 200" "$@" "${json[@]}" --header 'transfer-encoding: chunked' --header 'expect:' \
        --data-binary @- "$url/v1/chat/completions" <<<"$sum"
    body_has 632
}

check_version 'HTTP/1.1' 1.1 --http1.1
if [[ $url == https:* ]]; then
    check_version 'HTTP/2 by ALPN' 2 --http2
    if curl "${options[@]}" --output /dev/null --tls-max 1.1 "$url/v1/models" 2>"$work/error"; then fail 'TLS 1.1 is accepted'; fi
    echo 'ok    TLS 1.1 is refused'
else
    check_version 'HTTP/2 with prior knowledge' 2 --http2-prior-knowledge
    check_version 'HTTP/2 by upgrade' 2 --http2
fi

# One connection serves several requests, errors included.
for version in --http1.1 --http2; do
    connects=$(curl "${options[@]}" $version --write-out '%{stderr}%{num_connects} ' --output /dev/null "$url/v1/models" --output /dev/null "$url/no-such-path" \
        --output /dev/null "$url/v1/models" 2>&1)
    [[ $connects == '1 0 0 ' ]] || fail "keep-alive with $version: connections opened by three requests: $connects"
    echo "ok    keep-alive with $version"
done

# A client that waits for leave to send its body gets it, and gets an early refusal instead where there is one.
printf '{"messages":[{"role":"user","content":"What is 347 + 285?"}],"temperature":0,"metadata":{"filler":"%04000d"}}' 0 >"$work/large"
ask '100-continue' '1.1 200' --http1.1 "${json[@]}" --header 'expect: 100-continue' --expect100-timeout 30 --data-binary "@$work/large" "$url/v1/chat/completions"
head_has '^HTTP/1.1 100'
body_has 632

echo 'all passed'
