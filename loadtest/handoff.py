#!/usr/bin/env python3
"""What it costs to prefill on one worker and decode on another: a split fleet beside one worker that does both, in alternation.

Starts both servers, sends each the same prompts one after the other, and prints medians: time to the first token, from the first to the
second (the hand-over lies between them), of a decoding step, and, of the split fleet, how much of the time on the wire was hidden behind
the prefill. --links is POSTed to the split fleet's /links first. The KV memory is small enough for its pages to be in use already after the
first prompts: what the system takes to hand memory out is not measured. Loopback only; ends the servers it started.

    python3 loadtest/handoff.py [--shape smollm2-135m] [--prompt 2000] [--requests 15] [--links '{"rate": 12500000}'] [--json]
"""
import argparse
import http.client
import json
import random
import signal
import statistics
import tempfile
import urllib.request

import synthetic
from server import started


def answer(address, prompt):
    """The extension `ferry` of one streamed answer."""
    connection = http.client.HTTPConnection(*address)
    connection.request("POST", "/v1/completions", json.dumps(
        {"prompt": prompt, "max_tokens": 24, "temperature": 0, "ignore_eos": True, "stream": True, "ferry": True}), {"content-type": "application/json"})
    ferry = None
    for line in connection.getresponse():
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            if "error" in event:
                raise SystemExit(event["error"]["message"])
            ferry = event.get("ferry", ferry)
    connection.close()
    return ferry


def summary(reports):
    middle = statistics.median
    times = [report["timeline"] for report in reports]
    result = {
        "first_token_ms": middle(time["first_token_ms"] for time in times),
        "first_to_second_ms": middle(time["second_token_ms"] - time["first_token_ms"] for time in times),
        "step_ms": middle(time["decode_ms"] / 23 for time in times),
    }
    moved = [report["kv"] for report in reports if report["kv"]]
    result["handed_over"] = len(moved)
    if moved:
        result |= {
            "kv_bytes": moved[0]["raw_bytes"], "wire_ms": middle(kv["wire_ms"] for kv in moved), "exposed_ms": middle(kv["exposed_ms"] for kv in moved),
            "hidden_percent": middle(100 * (1 - kv["exposed_ms"] / max(kv["wire_ms"], 1e-6)) for kv in moved),
        }
    return result


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ferry", default=".build/release/ferry")
    options.add_argument("--model", default="models/pilot", help="model directory")
    options.add_argument("--shape", choices=synthetic.SHAPES, help="random weights of this shape instead of a model")
    options.add_argument("--prompt", type=int, default=2000, help="tokens")
    options.add_argument("--requests", type=int, default=15)
    options.add_argument("--links", help="JSON: what links are to behave like, as POST /links takes it")
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model
        if arguments.shape:
            model = f"{folder}/{arguments.shape}"
            synthetic.write(model, arguments.shape, arguments.model)
        cache = ["--model", model, "--set", f"model.cache={folder}/cache", "--set", f"engine.kv_memory={'256MiB' if arguments.shape else '32MiB'}"]
        split, split_address, admin = started(arguments.ferry, *cache)
        whole, whole_address, _ = started(arguments.ferry, *cache, "--set", "fleet.workers=prefill+decode")
        try:
            if arguments.links:
                urllib.request.urlopen(urllib.request.Request(admin + "/links", arguments.links.encode(), method="POST")).read()
            numbers = random.Random(1)
            reports = {"split": [], "whole": []}
            for request in range(-6, arguments.requests):
                prompt = [numbers.randrange(300, 900) for _ in range(arguments.prompt)]
                for name, address in (("split", split_address), ("whole", whole_address)):
                    report = answer(address, prompt)
                    if request >= 0:
                        reports[name].append(report)
        finally:
            for server in (split, whole):
                server.send_signal(signal.SIGTERM)
            for server in (split, whole):
                server.wait(30)
    result = {name: summary(found) for name, found in reports.items()}
    added = result["split"]["first_to_second_ms"] - result["whole"]["first_to_second_ms"]
    if arguments.json:
        print(json.dumps({"prompt": arguments.prompt, "requests": arguments.requests, "added_ms": added, **result}))
        return
    for name, figures in result.items():
        print(f"{name:6}", ", ".join(f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}" for key, value in figures.items()))
    print(f"added to the second token: {added:.2f} ms; a step takes {result['whole']['step_ms']:.2f} ms")


if __name__ == "__main__":
    main()
