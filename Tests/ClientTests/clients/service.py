"""The server under test, as the Python clients see it, and the small frame that runs their checks.

    FERRY_URL         inference API (default http://127.0.0.1:8080)
    FERRY_OPERATOR_URL   health and metrics (default http://127.0.0.1:9090)
    FERRY_MODEL       the bundled model's directory; its base name is the model's name in the API
    FERRY_PID         the server's process; without it, memory and descriptors are not looked at
    FERRY_API_KEY     a key that the server accepts; without it, the server is open

So every script runs by hand against `make run`, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
import urllib.request
from pathlib import Path

URL = os.environ.get("FERRY_URL", "http://127.0.0.1:8080")
ADMIN_URL = os.environ.get("FERRY_OPERATOR_URL", "http://127.0.0.1:9090")
MODEL_DIRECTORY = Path(os.environ.get("FERRY_MODEL", Path(__file__).resolve().parents[3] / "models" / "pilot"))
MODEL = MODEL_DIRECTORY.name
PID = int(os.environ.get("FERRY_PID", "0"))
API_KEY = os.environ.get("FERRY_API_KEY", "")

# Gauges that are zero when nothing is in work. The first three must exist.
IDLE_GAUGES = ["ferry_requests_active", "ferry_sequences_running", "ferry_sequences_waiting", "ferry_sequences_active", "ferry_permits_held",
               "ferry_queued_prompt_tokens", "ferry_kv_cache_usage_ratio"]


def metrics() -> dict[str, float]:
    """Every metric, summed over its labels."""
    sums: dict[str, float] = {}
    with urllib.request.urlopen(f"{ADMIN_URL}/metrics", timeout=10) as response:
        for line in response.read().decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.split("{")[0].split(" ")[0], line.rsplit(" ", 1)[1]
                sums[name] = sums.get(name, 0.0) + float(value)
    return sums


def wait_until_idle(seconds: float = 20) -> dict[str, float]:
    """The metrics once nothing is in work and all KV pages are free; an error naming what is left after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        now = metrics()
        missing = [name for name in IDLE_GAUGES[:3] if name not in now]
        assert not missing, f"/metrics lacks {missing}"
        busy = {name: now[name] for name in IDLE_GAUGES if now.get(name, 0) != 0}
        if "ferry_kv_pages_available" in now and now["ferry_kv_pages_available"] != now["ferry_kv_pages_total"]:
            busy["ferry_kv_pages_available"] = now["ferry_kv_pages_available"]
        if not busy:
            return now
        assert time.monotonic() < deadline, f"still in work after {seconds} s: {busy}"
        time.sleep(0.02)  # the pace of asking, not a wait for something to be done by then


def processes() -> list[int]:
    """The server's process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [PID] if PID else []
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def resident_bytes() -> int:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes())
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_descriptors() -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in processes())


def reference_answers(least_margin: float) -> list[dict]:
    """Conversations whose greedy answer is known and clear of near ties: {"messages", "prompt_ids", "text", …}."""
    answers = json.loads((MODEL_DIRECTORY / "reference.json").read_text())["greedy"]
    return [a for a in answers if a["margin"] >= least_margin and a["messages"]]


def run(checks: dict) -> None:
    """Run the functions named `check_…` in the order they are written, or those whose names contain one of the arguments. Exits 1 if one
    fails, 2 if the arguments fit none."""
    chosen = [(name, f) for name, f in checks.items() if name.startswith("check_")]
    if words := [a for a in sys.argv[1:] if not a.startswith("-")]:
        chosen = [(name, f) for name, f in chosen if any(w in name for w in words)]
    if not chosen:
        sys.exit(2)
    failed = 0
    for name, check in chosen:
        title = name.removeprefix("check_").replace("_", " ")
        begin = time.monotonic()
        try:
            check()
            print(f"ok    {title} ({time.monotonic() - begin:.2f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL  {title}\n{traceback.format_exc()}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
