#!/usr/bin/env python3
"""How much one core drives: ferry-load against its own echo server, each on a core of its own, 512 streams of 50 tokens a second for 10 seconds, over HTTP/2 and
HTTP/1.1. Prints streamed tokens a second, the harness's own lag and its share of a core; medians of --repeats. Loopback only; ends the server that it
started.

    python3 loadtest/pace.py [--streams 512] [--token-rate 50] [--repeats 3] [--json]
"""
import argparse
import json
import os
import signal
import statistics
import subprocess


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


def run(program, address, http, arguments, core):
    tokens = int(arguments.token_rate * arguments.seconds)
    done = subprocess.run(
        [program, "run", "--base-url", address, "--http", http, "--backend", "openai", "--num-prompts", str(arguments.streams), "--max-concurrency",
         str(arguments.streams), "--connections", str(arguments.streams if http == "1.1" else 8), "--streams-per-connection", str((arguments.streams + 7) // 8),
         "--random-input-len", "16", "--random-output-len", str(tokens), "--json", "--disable-tqdm"],
        stdout=subprocess.PIPE, preexec_fn=pinned(core), check=True)
    result = json.loads(done.stdout)
    harness = result["ferry_load"]["harness"]
    if result["completed"] != arguments.streams:
        raise SystemExit(f"{result['completed']} of {arguments.streams} answers: {result['ferry_load']['outcomes']}")
    return {"tokens_per_second": result["output_throughput"], "lag_p99_ms": harness["lag"]["p99"], "lag_median_ms": harness["lag"]["median"],
            "cpu_share": harness["cpu_share"]}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ferry-load", default=".build/release/ferry-load")
    options.add_argument("--streams", type=int, default=512)
    options.add_argument("--token-rate", type=float, default=50)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    server = subprocess.Popen(
        [arguments.ferry_load, "echo", "--listen", "127.0.0.1:0", "--token-rate", str(arguments.token_rate)], stdout=subprocess.PIPE, text=True,
        preexec_fn=pinned(cores[-1]))
    try:
        address = next(word for word in server.stdout.readline().split() if word.startswith("http"))
        results = {}
        for http in ("2", "1.1"):
            runs = [run(arguments.ferry_load, address, http, arguments, cores[0]) for _ in range(arguments.repeats)]
            results[http] = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            if not arguments.json:
                print(f"HTTP/{http}: " + ", ".join(f"{key} {value:.2f}" for key, value in results[http].items()), flush=True)
        if arguments.json:
            print(json.dumps(results))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


if __name__ == "__main__":
    main()
