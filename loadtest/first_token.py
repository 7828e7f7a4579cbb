#!/usr/bin/env python3
"""Time to the first token of a short prompt on an idle server, and what of it is not the model's own time.

Starts the server, sends one request after the other over one connection, each after a pause in which the server's threads fall
asleep, and takes the time from the request's last byte sent to its first event received, this client's part included. The model's time is
what the server's metrics say of the same requests. A pause of 0 shows what sleeping processors and cold caches cost.
Loopback only; ends the server it started.

    python3 loadtest/first_token.py [--ferry .build/release/ferry] [--model DIR] [--prompt 32] [--pause 20] [--json]
"""
import argparse
import json
import random
import signal
import socket
import statistics
import time

from server import metric, started


def first_token(connection, prompt):
    """Seconds until the first event of an answer of one token; the rest of the answer is read too."""
    body = json.dumps({"prompt": prompt, "stream": True, "max_tokens": 1, "ignore_eos": True, "temperature": 0}).encode()
    request = (b"POST /v1/completions HTTP/1.1\r\nhost: ferry\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)) + body
    begun = time.perf_counter()
    connection.sendall(request)
    answer, first = b"", None
    while b"data: [DONE]\n\n\r\n0\r\n\r\n" not in answer:
        piece = connection.recv(1 << 16)
        if not piece:
            raise SystemExit(f"the connection ended after {answer!r}")
        answer += piece
        if first is None and b"data: " in answer:
            first = time.perf_counter() - begun
    if b'"error"' in answer:
        raise SystemExit(answer.decode())
    return first


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ferry", default=".build/release/ferry")
    options.add_argument("--model", help="model directory; otherwise the bundled one")
    options.add_argument("--prompt", type=int, default=32, help="tokens")
    options.add_argument("--pause", type=float, default=20, help="milliseconds between requests")
    options.add_argument("--requests", type=int, default=200)
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    server, address, admin = started(arguments.ferry, *(["--model", arguments.model] if arguments.model else []))
    try:
        with socket.create_connection(address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            numbers = random.Random(1)
            times = []
            for request in range(-10, arguments.requests):
                if request == 0:
                    before = metric(admin, "ferry_model_seconds_total")
                time.sleep(arguments.pause / 1e3)
                seconds = first_token(connection, [numbers.randrange(300, 900) for _ in range(arguments.prompt)])
                if request >= 0:
                    times.append(seconds)
            model = (metric(admin, "ferry_model_seconds_total") - before) / arguments.requests
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    times.sort()
    mean = statistics.mean(times)
    result = {"prompt": arguments.prompt, "pause_ms": arguments.pause, "requests": arguments.requests,
              "first_token_median_ms": statistics.median(times) * 1e3, "first_token_p90_ms": times[len(times) * 9 // 10] * 1e3,
              "first_token_mean_ms": mean * 1e3, "model_mean_ms": model * 1e3, "beyond_mean_ms": (mean - model) * 1e3}
    if arguments.json:
        print(json.dumps({key: round(value, 3) for key, value in result.items()}))
    else:
        print("{prompt} tokens: first token after {first_token_mean_ms:.2f} ms in the mean (median {first_token_median_ms:.2f}, "
              "p90 {first_token_p90_ms:.2f}); model {model_mean_ms:.2f} ms, beyond it {beyond_mean_ms:.2f} ms".format(**result))


if __name__ == "__main__":
    main()
