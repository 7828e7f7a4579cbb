#!/usr/bin/env python3
"""CPU time that the gateway spends per streamed token.

Starts the server with the bundled model, streams from many clients at once, and reads the CPU time of the reactor's thread from
the system's accounting. The engine's and the clients' time is not in it. Loopback only; ends the server it started.

    python3 loadtest/gateway_cost.py [--ferry .build/release/ferry] [--streams 64] [--tokens 400] [--json]
"""
import argparse
import json
import os
import signal
import socket
import threading

from server import metric, started


def thread_seconds(pid, name):
    """User and system seconds of the thread `name`."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as comm:
            if comm.read().strip() != name:
                continue
        with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
            return int(stat.read().split()[0]) / 1e9
    raise SystemExit(f"no thread {name}")


def stream(address, tokens, seed):
    body = json.dumps({"prompt": "Once", "stream": True, "max_tokens": tokens, "ignore_eos": True, "seed": seed}).encode()
    with socket.create_connection(address) as connection:
        connection.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: ferry\r\nconnection: close\r\ncontent-type: application/json\r\n"
            + b"content-length: %d\r\n\r\n" % len(body) + body)
        tail = b""
        while piece := connection.recv(1 << 16):
            tail = (tail + piece)[-64:]
        assert b"[DONE]" in tail, tail


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ferry", default=".build/release/ferry")
    options.add_argument("--streams", type=int, default=64)
    options.add_argument("--tokens", type=int, default=400)
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    server, address, admin = started(arguments.ferry)
    try:
        stream(address, 8, 0)
        before = thread_seconds(server.pid, "reactor"), metric(admin, "ferry_generation_tokens_total")
        clients = [threading.Thread(target=stream, args=(address, arguments.tokens, seed)) for seed in range(arguments.streams)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        seconds = thread_seconds(server.pid, "reactor") - before[0]
        tokens = metric(admin, "ferry_generation_tokens_total") - before[1]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    result = {"streams": arguments.streams, "tokens": int(tokens), "reactor_seconds": round(seconds, 4),
              "microseconds_per_token": round(seconds / tokens * 1e6, 2)}
    if arguments.json:
        print(json.dumps(result))
    else:
        print("{streams} streams, {tokens} tokens: {microseconds_per_token} µs of gateway CPU per streamed token".format(**result))


if __name__ == "__main__":
    main()
