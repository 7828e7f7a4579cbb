#!/usr/bin/env python3
"""Whether ferry-load agrees with clients that others have written.

HTTP/1.1: the OpenAI SDK, a few lines of Python on a plain socket, and ferry-load ask a Ferry server in turns, one request at a time, with prompts of
random token ids; their medians of the time to the first token and of the whole are compared, and for the SDK the processor time that it needs itself.
HTTP/2: h2load and ferry-load keep 100 streams of one connection busy at `ferry-load echo`, which
answers each request after 10 ms, and then at once: the first is the server's rate, the second the client's own. Loopback only; ends the servers it started.

    .build/clients/bin/python loadtest/agreement.py [--ferry .build/release/ferry] [--load .build/release/ferry-load] [--json]
"""
import argparse
import json
import random
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from server import started

QUIET = ["--disable-tqdm", "--json"]


def sdk(address, model, requests, prompt, tokens, seed):
    """Milliseconds until the first token and the end, of each request, and of its own processor time."""
    import openai

    client = openai.OpenAI(base_url=f"http://{address[0]}:{address[1]}/v1", api_key="none", max_retries=0)
    numbers = random.Random(seed)
    first, whole, own = [], [], []
    for request in range(-2, requests):
        ids = [numbers.randrange(300, 900) for _ in range(prompt)]
        begun = time.perf_counter()
        busy = time.process_time()
        heard = None
        stream = client.completions.create(
            model=model, prompt=ids, max_tokens=tokens, stream=True, temperature=0, extra_body={"ignore_eos": True},
            stream_options={"include_usage": True})
        for chunk in stream:
            if heard is None and chunk.choices and chunk.choices[0].text:
                heard = time.perf_counter()
        if request >= 0:
            first.append((heard - begun) * 1e3)
            whole.append((time.perf_counter() - begun) * 1e3)
            own.append((time.process_time() - busy) * 1e3)
    return first, whole, own


def plain(address, requests, prompt, tokens, seed):
    """The same by a client of its own, without a library."""
    numbers = random.Random(1000 + seed)
    first, whole = [], []
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in range(-2, requests):
            ids = [numbers.randrange(300, 900) for _ in range(prompt)]
            body = json.dumps({"prompt": ids, "max_tokens": tokens, "stream": True, "temperature": 0, "ignore_eos": True}).encode()
            head = b"POST /v1/completions HTTP/1.1\r\nhost: ferry\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            begun = time.perf_counter()
            connection.sendall(head + body)
            answer, heard = b"", None
            while not answer.endswith(b"0\r\n\r\n"):
                answer += connection.recv(1 << 16)
                if heard is None and b'"text":"' in answer:
                    heard = time.perf_counter()
            if request >= 0:
                first.append((heard - begun) * 1e3)
                whole.append((time.perf_counter() - begun) * 1e3)
    return first, whole


def load(program, url, *options):
    output = subprocess.run([program, "--base-url", url, *QUIET, *options], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def http1(arguments):
    server, address, _ = started(arguments.ferry)
    rounds = {"sdk": ([], [], []), "socket": ([], []), "ferry-load": ([], [])}
    try:
        url = f"http://{address[0]}:{address[1]}"
        listed = subprocess.run(["curl", "-s", url + "/v1/models"], check=True, stdout=subprocess.PIPE, text=True).stdout
        model = json.loads(listed)["data"][0]["id"]
        for round in range(arguments.rounds):
            for kept, times in zip(rounds["sdk"], sdk(address, model, arguments.requests, arguments.prompt, arguments.tokens, round)):
                kept.extend(times)
            for kept, times in zip(rounds["socket"], plain(address, arguments.requests, arguments.prompt, arguments.tokens, round)):
                kept.extend(times)
            with tempfile.TemporaryDirectory() as folder:
                load(
                    arguments.load, url, "--backend", "openai", "--token-ids", "300-899", "--random-input-len", str(arguments.prompt),
                    "--random-output-len", str(arguments.tokens), "--max-concurrency", "1", "--num-prompts", str(arguments.requests), "--num-warmups", "2",
                    "--ignore-eos", "--temperature", "0", "--seed", str(round), "--save-detailed", "--result-dir", folder, "--result-filename", "r.json")
                with open(folder + "/r.json") as file:
                    result = json.load(file)
            for kept, key in zip(rounds["ferry-load"], ("ttfts", "latencies")):
                kept.extend(seconds * 1e3 for seconds in result[key])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    return {
        client: {
            name: {"median_ms": statistics.median(times), "spread_ms": statistics.quantiles(times, n=4)[2] - statistics.quantiles(times, n=4)[0]}
            for name, times in zip(("first_token", "whole", "own_time"), series)
        } for client, series in rounds.items()
    }


def http2(arguments, *options):
    echo = subprocess.Popen([arguments.load, "echo", "--listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE, text=True)
    rates = {"h2load": [], "ferry-load": []}
    try:
        url = echo.stdout.readline().strip()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
            body.write(json.dumps({"model": "echo", "prompt": "time year people way", "max_tokens": 1, "stream": False}))
            body.flush()
            for _ in range(arguments.rounds):
                text = subprocess.run(
                    ["h2load", "-n", str(arguments.bulk), "-c", "1", "-m", "100", "-d", body.name, "-H", "content-type: application/json",
                     url + "/v1/completions"], check=True, stdout=subprocess.PIPE, text=True).stdout
                rates["h2load"].append(float(re.search(r"([\d.]+) req/s", text)[1]))
                result = load(
                    arguments.load, url, "--backend", "openai", "--http", "2", "--connections", "1", "--streams-per-connection", "100",
                    "--max-concurrency", "100", "--num-prompts", str(arguments.bulk), "--no-stream", "--random-input-len", "4",
                    "--random-output-len", "1", "--num-warmups", "10")
                rates["ferry-load"].append(result["request_throughput"])
    finally:
        echo.send_signal(signal.SIGTERM)
        echo.wait()
    return {client: {"requests_per_second": statistics.median(values), "all": values} for client, values in rates.items()}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ferry", default=".build/release/ferry")
    options.add_argument("--load", default=".build/release/ferry-load")
    options.add_argument("--prompt", type=int, default=256, help="tokens")
    options.add_argument("--tokens", type=int, default=32, help="of an answer")
    options.add_argument("--requests", type=int, default=30, help="of a client in a round")
    options.add_argument("--bulk", type=int, default=20000, help="requests of a client in a round, HTTP/2")
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    results = {"http1": http1(arguments), "http2": http2(arguments, "--token-rate", "1000", "--first-token", "10ms"),
               "http2_at_once": http2(arguments, "--token-rate", "inf")}
    if arguments.json:
        return print(json.dumps(results, indent=1))
    for client, figures in results["http1"].items():
        print(f"HTTP/1.1 {client:10}", *(f"{name} {value['median_ms']:.2f} ms (middle half {value['spread_ms']:.2f} ms wide)" for name, value in figures.items()))
    for name, answers in (("http2", "after 10 ms"), ("http2_at_once", "at once")):
        for client, figures in results[name].items():
            print(f"HTTP/2   {client:10} {figures['requests_per_second']:.0f} requests/s, answers {answers}")


if __name__ == "__main__":
    main()
