#!/usr/bin/env python3
"""How long a server takes from the start of its process to its first answer, and how much memory at most.

Measures a model as it is, packed for storage and packed for serving, each with its own cache folder: the first start ever, with nothing of it
in memory; later starts with nothing in memory (cold); and starts right after another (warm). Medians; peaks are those of the gateway, which
loads, and of its largest worker. Loopback only; what is made goes to a temporary folder and is removed.

    python3 loadtest/cold_start.py [DIRECTORY | --shape smollm2-360m] [--ferry .build/release/ferry] [--weights bf16,enec] [--runs 3]
                                   [--load auto] [--forms raw,storage,serving] [--folder DIR] [--disk-limit 200] [--json]
"""
import argparse
import glob
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

import synthetic

BUNDLED = os.path.join(os.path.dirname(__file__), "../models/pilot")


def forget(*folders):
    """Takes everything out of the system's cache of files; where that is not permitted, the files of these folders."""
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
        return "all caches dropped"
    except OSError:
        for folder in folders:
            for place, _, names in os.walk(folder):
                for name in names:
                    descriptor = os.open(os.path.join(place, name), os.O_RDONLY)
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(descriptor)
        return "caches may not be dropped here: the files' pages were given back one by one"


def limit_disk(folder, megabytes):
    """Keeps this process and its children to so many megabytes per second read from the folder's disk. Needs root."""
    number = os.stat(folder).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    if os.path.exists(f"/sys/dev/block/{device}/partition"):
        with open(f"/sys/dev/block/{device}/../dev") as file:
            device = file.read().strip()
    old, new = "/sys/fs/cgroup/blkio", "/sys/fs/cgroup"
    group = os.path.join(old if os.path.isdir(old) else new, "ferry-cold-start")
    try:
        os.makedirs(group, exist_ok=True)
        name, text = ("blkio.throttle.read_bps_device", f"{device} {megabytes * 10**6}") if os.path.isdir(old) else (
            "io.max", f"{device} rbps={megabytes * 10**6}")
        for file, content in (name, text), ("cgroup.procs", str(os.getpid())):
            with open(os.path.join(group, file), "w") as opened:
                opened.write(content)
    except OSError as error:
        raise SystemExit(f"the disk {device} cannot be limited here: {error}")


def status(pid, key):
    with open(f"/proc/{pid}/status") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":")), 0)


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if status(name, "PPid") // 1024 == pid:
                    found.append(int(name))
            except OSError:
                pass
    return found


def wait_for_image(cache, most=120):
    """The image that a server writes beside serving, so that later starts find it."""
    end = time.monotonic() + most
    while time.monotonic() < end and not glob.glob(os.path.join(cache, "weights", "*.weights")):
        time.sleep(0.1)


def start(arguments, model, weights, cache, waits_for_image=False):
    """Seconds until requests are answered, peaks of memory, and where the weights came from."""
    begin = time.monotonic()
    server = subprocess.Popen(
        [arguments.ferry, "serve", "--model", model, "--weights", weights, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
         "--set", f"model.cache={cache}", "--set", f"model.load={arguments.load}", "--set", "fleet.workers=prefill+decode",
         "--set", "engine.kv_memory=64MiB", "--set", "log.level=error"],
        stdout=subprocess.PIPE, text=True)
    try:
        seconds, admin = None, None
        while admin is None:
            line = server.stdout.readline()
            if not line:
                raise SystemExit("the server did not start")
            if line.startswith("listening"):
                seconds = time.monotonic() - begin
            if line.startswith("admin on "):
                admin = line.strip().removeprefix("admin on ")
        metrics = urllib.request.urlopen(admin + "/metrics").read().decode()
        load = next(line for line in metrics.splitlines() if line.startswith("ferry_model_load_seconds{"))
        if waits_for_image and 'source="memory"' in load:
            wait_for_image(cache)
        return {
            "seconds": seconds, "load_seconds": float(load.split()[-1]), "source": load.partition('source="')[2].partition('"')[0],
            "gateway": status(server.pid, "VmHWM"), "worker": max((status(pid, "VmHWM") for pid in children(server.pid)), default=0)}
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def measure(arguments, model, weights, cache):
    """The first start, and the medians of cold and of warm ones."""
    results = {}
    results["how"] = forget(model, cache)
    first = start(arguments, model, weights, cache, waits_for_image=arguments.load == "auto")
    cold, warm = [], []
    for _ in range(arguments.runs):
        forget(model, cache)
        cold.append(start(arguments, model, weights, cache))
        warm.append(start(arguments, model, weights, cache))
    for name, runs in ("first", [first]), ("cold", cold), ("warm", warm):
        results[name] = {key: median(runs, key) for key in ("seconds", "load_seconds", "gateway", "worker")}
        results[name]["source"] = "/".join(sorted({run["source"] for run in runs}))
    return results


def size(folder):
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder) if name.endswith(".safetensors"))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("directory", nargs="?")
    options.add_argument("--shape", default="smollm2-360m", choices=sorted(synthetic.SHAPES))
    options.add_argument("--ferry", default=".build/release/ferry")
    options.add_argument("--weights", default="bf16,enec")
    options.add_argument("--forms", default="raw,storage,serving")
    options.add_argument("--load", default="auto")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--folder", help="where models and caches are made: on the disk that is to be measured")
    options.add_argument("--disk-limit", type=int, metavar="MB", help="so many megabytes per second of the disk at most (root, Linux control groups)")
    options.add_argument("--json", action="store_true")
    arguments = options.parse_args()
    rows, how = [], ""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.disk_limit:
            limit_disk(folder, arguments.disk_limit)
        source = arguments.directory
        if source is None:
            source = os.path.join(folder, arguments.shape)
            synthetic.write(source, arguments.shape, BUNDLED, like_a_model=True)
        for form in arguments.forms.split(","):
            model = source
            if form != "raw":
                model = os.path.join(folder, form)
                subprocess.run([arguments.ferry, "pack", source, "--output", model, "--for", form], check=True, stdout=subprocess.DEVNULL)
            for weights in arguments.weights.split(","):
                result = measure(arguments, model, weights, os.path.join(folder, f"cache-{form}-{weights}"))
                how = result.pop("how")
                rows.append({"form": form, "weights": weights, "bytes": size(model), **result})
    if arguments.json:
        return print(json.dumps({"how": how, "results": rows}))
    print(how)
    print("model    MB   weights  start  seconds  loading  from    gateway  worker MB")
    for row in rows:
        for name in ("first", "cold", "warm"):
            run = row[name]
            print(f"{row['form']:8} {row['bytes'] / 1e6:4.0f} {row['weights']:8} {name:6} {run['seconds']:7.2f}  {run['load_seconds']:7.2f}  "
                  f"{run['source']:7} {run['gateway'] / 1e6:7.0f} {run['worker'] / 1e6:7.0f}")


if __name__ == "__main__":
    main()
