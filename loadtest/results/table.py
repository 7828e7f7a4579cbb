#!/usr/bin/env python3
"""The table of README.md in this folder: one worker that does all beside a split fleet, one user and sixteen, links of 50 Mb/s to 10 Gb/s, KV raw, lossless
and lossy. A closed loop of prompts of 1024 tokens (none shared) and answers of 32; medians. Writes results.json and prints Markdown.

    python3 loadtest/results/table.py [--model models/pilot] [--duration 8s] [--lossy ferry-balanced] > table.md
"""
import argparse
import json
import pathlib
import platform
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "scenarios"))
from scenario import load, post  # noqa: E402
from server import started  # noqa: E402

LINKS = {"50 Mb/s": 6_250_000, "200 Mb/s": 25_000_000, "1 Gb/s": 125_000_000, "10 Gb/s": 1_250_000_000}


def measure(arguments, base_url, users, seed):
    options = ["--backend", "openai", "--max-concurrency", str(users), "--num-prompts", "100000", "--num-warmups", str(2 * users), "--duration",
               arguments.duration, "--ignore-eos", "--temperature", "0", "--random-input-len", "1024", "--random-output-len", "32", "--seed", str(seed), "--server-report"]
    result, status = load(arguments.ferry_load, base_url, options)
    if status or result["failed"]:
        raise SystemExit(f"status {status}, {result['failed']} failed: {result['ferry_load']['outcomes']}")
    return result


def line(fleet, link, profile, users, result):
    own = result["ferry_load"]
    figures = own["figures"]

    def median(key):
        return f"{figures[key]['median']:.1f}" if key in figures else "–"

    kv = own.get("kv")
    return (f"| {fleet} | {link} | {profile} | {users} | {median('ttft')} | {median('ttst')} | {median('tpot')} | {result['output_throughput']:.0f} | "
            + (f"{kv['sent_bytes'] / kv['transfers'] / 1e6:.2f} | {kv['ratio']:.2f} | {median('kv_wait')} |" if kv else "– | – | – |"))


def end(server):
    server.send_signal(signal.SIGTERM)
    server.wait(60)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ferry", default=".build/release/ferry")
    options.add_argument("--ferry-load", default=".build/release/ferry-load")
    options.add_argument("--model", default="models/pilot")
    options.add_argument("--duration", default="8s")
    options.add_argument("--lossy", default="ferry-balanced")
    options.add_argument("--output", default=str(HERE / "results.json"))
    arguments = options.parse_args()
    results = []
    print("| fleet | link | KV profile | users | TTFT ms | second token ms | TPOT ms | tokens/s | KV MB sent | ratio | KV wait ms |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)

    def note(fleet, link, profile, users, result):
        print(line(fleet, link, profile, users, result), flush=True)
        results.append({"fleet": fleet, "link": link, "profile": profile, "users": users, "result": result})

    server, (host, port), _ = started(arguments.ferry, "--model", arguments.model, "--set", "fleet.workers=prefill+decode")
    try:
        for users in (1, 16):
            note("one worker", "–", "–", users, measure(arguments, f"http://{host}:{port}", users, len(results)))
    finally:
        end(server)
    for profile in ("raw", "lossless", arguments.lossy):
        server, (host, port), admin = started(
            arguments.ferry, "--model", arguments.model, "--set", f"kv.profile={profile}", "--set", "fleet.local_tokens=0",
            *([] if profile in ("raw", "lossless") else ["--set", f"kv.allowed={profile}"]))
        try:
            for link, rate in LINKS.items():
                post(admin + "/links", json.dumps({"rate": rate}))
                for users in (1, 16):
                    note("split", link, profile, users, measure(arguments, f"http://{host}:{port}", users, len(results)))
        finally:
            end(server)
    pathlib.Path(arguments.output).write_text(json.dumps({"machine": platform.processor() or platform.machine(), "runs": results}))


if __name__ == "__main__":
    main()
