#!/usr/bin/env python3
"""One scenario against a Ferry that is started for it, or against any server with --base-url (scenarios that need Ferry's admin endpoint say so).

A scenario is a file beside this one: what happens, what to expect, how the server is started, what is sent, and what must hold. What must hold are
counts and shares, never times; what to expect of times stands in words. Loopback only; ends the server that it started.

    python3 loadtest/scenarios/scenario.py steady
    python3 loadtest/scenarios/scenario.py overload --html overload.html
    python3 loadtest/scenarios/scenario.py slow-clients --base-url http://127.0.0.1:8000
    python3 loadtest/scenarios/scenario.py --list
"""
import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from server import started  # noqa: E402

OPERATORS = {"==": lambda a, b: a == b, ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b}


def scenarios():
    return {path.stem: json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))}


def find(result, path):
    """`ferry_load/outcomes/completed`; what is missing is 0."""
    for key in path.split("/"):
        result = result.get(key, 0) if isinstance(result, dict) else 0
    return result or 0


def load(program, base_url, options, html=None):
    """The result of one run, and its exit status."""
    command = [program, "run", "--base-url", base_url, "--json", "--disable-tqdm", *options]
    if html:
        command += ["--html", html]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if not done.stdout:
        raise SystemExit(f"{' '.join(command)}: status {done.returncode}, no result")
    return json.loads(done.stdout), done.returncode


def row(name, result):
    own, outcomes = result["ferry_load"], result["ferry_load"]["outcomes"]

    def median(key, percentile="median"):
        return own["figures"].get(key, {}).get(percentile, float("nan"))

    text = (f"{name:14} {result['completed']:5} ok {outcomes['refused']:5} refused {outcomes['failed'] + outcomes['broken'] + outcomes['late']:4} failed "
            f"{outcomes['troubled']:4} troubled | {result['request_throughput']:7.2f} req/s {result['output_throughput']:8.1f} tok/s | "
            f"ttft {median('ttft'):7.1f} / {median('ttft', 'p99'):8.1f} ms  second {median('ttst'):7.1f} ms  tpot {median('tpot'):6.2f} ms")
    if "kv" in own:
        text += f" | kv {own['kv']['sent_bytes'] / 1e6:.2f} MB, ratio {own['kv'].get('ratio', 1):.2f}, wait {median('kv_wait'):.1f} ms"
    if "cancel_to_free_ms" in own:
        text += f" | freed {own['cancel_to_free_ms']['mean']:.1f} ms after a cancel"
    if own["harness"]["is_bottleneck"]:
        text += " | the harness was late: " + "; ".join(own["harness"]["complaints"])
    return text


def post(url, body):
    urllib.request.urlopen(urllib.request.Request(url, body.encode(), {"content-type": "application/json"}, method="POST")).read()


def variants(scenario, program, base_url, common):
    """Name, options and what links are to be like, for each run of the scenario."""
    if "links" in scenario:
        return [(name, scenario["load"], shape) for name, shape in scenario["links"].items()]
    if "times_capacity" not in scenario:
        return [("", scenario["load"], None)]
    result, _ = load(program, base_url, [*common, *scenario["capacity"]])
    capacity = result["request_throughput"]
    print(f"capacity with {scenario['capacity'][1]} clients: {capacity:.2f} req/s")
    return [(f"{factor:g}x", [*scenario["load"], "--request-rate", f"{factor * capacity:.3f}"], None) for factor in scenario["times_capacity"]]


def run(name, scenario, arguments):
    print(f"{name}: {scenario['about']}\nexpect: {scenario['expect']}")
    admin = arguments.admin
    server = None
    if not arguments.base_url:
        server, (host, port), admin = started(arguments.ferry, "--model", arguments.model, *scenario.get("server", []))
    base_url = arguments.base_url or f"http://{host}:{port}"
    needs_admin = "{admin}" in json.dumps(scenario) or "links" in scenario
    if needs_admin and not admin:
        raise SystemExit(f"{name} needs Ferry's admin endpoint: --admin URL")
    fill = lambda options: [option.replace("{admin}", admin or "").replace("{here}", str(HERE)) for option in options]
    common = fill(scenario.get("common", []) + (["--metrics-url", "{admin}/metrics", "--server-report"] if admin else []))
    failures, results = [], {}
    try:
        for number, (variant, options, shape) in enumerate(variants(scenario, arguments.ferry_load, base_url, common)):
            # Prompts of its own for each: what one left in a prefix cache would not travel for the next.
            options = [*options, "--seed", str(number + 1)]
            if shape is not None:
                post(admin + "/links", json.dumps(shape))
            html = arguments.html and arguments.html.replace(".html", f"-{variant}.html" if variant else ".html")
            result, status = load(arguments.ferry_load, base_url, [*common, *fill(options)], html)
            results[variant or name] = result
            print(row(variant or name, result))
            if status not in scenario.get("statuses", [0]):
                failures.append(f"{variant or name}: ferry-load ended with {status}")
            for path, operator, expected in scenario["must"]:
                found = find(result, path)
                if not OPERATORS[operator](found, expected):
                    failures.append(f"{variant or name}: {path} is {found}; {operator} {expected} was expected")
        if server and server.poll() is not None:
            failures.append(f"the server ended with {server.returncode}")
    finally:
        if server and server.poll() is None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
                failures.append("the server did not end within 60 s of SIGTERM")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results))
    for failure in failures:
        print(f"NOT AS EXPECTED {failure}")
    print(f"{name}: {'as expected' if not failures else 'not as expected'}")
    return not failures


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("scenario", nargs="?", choices=scenarios())
    options.add_argument("--list", action="store_true", help="what there is")
    options.add_argument("--ferry", default=".build/release/ferry")
    options.add_argument("--ferry-load", default=".build/release/ferry-load")
    options.add_argument("--model", default="models/pilot", help="model directory of the server that is started")
    options.add_argument("--base-url", help="a running server instead of one that is started")
    options.add_argument("--admin", help="its admin endpoint, if it is Ferry")
    options.add_argument("--html", help="a report of each run")
    options.add_argument("--json", help="a file for the results")
    arguments = options.parse_args()
    if arguments.list or not arguments.scenario:
        for name, scenario in scenarios().items():
            print(f"{name:14} {scenario['about']}")
        return
    if not run(arguments.scenario, scenarios()[arguments.scenario], arguments):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
