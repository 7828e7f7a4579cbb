"""A server whose weights are on their way into memory: what it says meanwhile, what its workers share, and what stops it.

    loading.py held       the operator hears how far it is, clients are told to come back, and then everything is answered
    loading.py ended      a signal while it loads ends it at once, with nothing left behind
    loading.py shared     weights in memory are there once, for workers that are started again too, and go with the gateway
    loading.py damaged    a packed model with a damaged tensor is never served
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from fleet import Process, alive, eventually
from service import MODEL_DIRECTORY


class Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def get(path: Path, target: str, body: dict | None = None) -> tuple[int, dict, http.client.HTTPMessage] | None:
    """The answer; nothing where nobody listens yet."""
    connection = Local(path)
    try:
        connection.request("POST" if body else "GET", target, json.dumps(body) if body else None, {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, json.loads(text) if text.startswith("{") else {"text": text}, response.headers
    except (ConnectionRefusedError, FileNotFoundError):
        return None
    finally:
        connection.close()


@contextlib.contextmanager
def held(file: Path):
    """Whoever opens `file` waits until this ends: it is under a lease, which the system breaks after a while of its own choice."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    with open(file, "r+b") as lease:
        fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield


@contextlib.contextmanager
def model():
    """A folder with a copy of the model and a cache of its own."""
    with tempfile.TemporaryDirectory(prefix="ferry-test-") as folder:
        shutil.copytree(MODEL_DIRECTORY, Path(folder) / "model")
        yield Path(folder)


def serve(folder: Path, *arguments: str) -> Process:
    return Process(
        "serve", "--model", str(folder / "model"), "--weights", "bf16", "--listen", f"unix:{folder}/api", "--admin", f"unix:{folder}/admin",
        "--set", f"model.cache={folder}/cache", *arguments)


def ready(folder: Path, reason: str | None):
    """The answer of `/health/ready` once its reason is this one."""
    def asked():
        answer = get(folder / "admin", "/health/ready")
        return answer if answer and answer[1].get("reason") == reason else None
    return eventually(f"readiness {reason}", asked)


def check_held() -> None:
    with model() as folder:
        with held(folder / "model/model.safetensors"):
            server = serve(folder, "--set", "model.load=image")
            status, answer, _ = ready(folder, "loading")
            assert status == 503 and answer["status"] == "unavailable" and answer["progress"] == 0, answer
            status, answer, _ = get(folder / "admin", "/health/live")
            assert status == 200 and answer == {"status": "live"}, answer
            status, answer, headers = get(folder / "api", "/v1/completions", {"model": "model", "prompt": "x", "max_tokens": 1})
            assert status == 503 and answer["error"]["code"] == "model_loading" and headers["retry-after"], (answer, headers)
            assert not any(line.startswith("listening") for line in server.lines), server.lines
        server.line("listening on ")
        status, _, _ = ready(folder, None)
        assert status == 200
        status, answer, _ = get(folder / "api", "/v1/completions", {"model": "model", "prompt": "x", "max_tokens": 1})
        assert status == 200, answer
        metrics = get(folder / "admin", "/metrics")[1]["text"]
        assert 'ferry_model_load_ratio{model_name="model"} 1\n' in metrics, metrics[:2000]
        assert "ferry_model_load_seconds{" in metrics and 'source="built"' in metrics, metrics[:2000]
        assert "ferry_model_load_read_bytes{" in metrics
        server.signal(signal.SIGTERM)
        assert server.ending() == 0, server.log


def check_ended() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with model() as folder, held(folder / "model/model.safetensors"):
            server = serve(folder)
            ready(folder, "loading")
            server.signal(number)
            assert server.ending() == -number, server.log
            assert not list(folder.glob("cache/**/*.draft")) and not list(folder.glob("cache/weights/*"))


def images(pid: int) -> set[str]:
    """The inodes of weights in memory that a process maps."""
    return {line.split()[4] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "memfd:ferry-weights" in line}


def check_shared() -> None:
    with model() as folder:
        server = serve(folder, "--set", "model.load=memory")
        server.line("listening on ")
        assert not list(folder.glob("cache/weights/*")), "an image was written"

        def workers() -> dict[str, int]:
            return {x["id"]: x["pid"] for x in get(folder / "admin", "/fleet")[1]["workers"] if x["state"] == "ready"}
        first = workers()
        assert len(first) == 2, first
        inodes = images(server.pid) | images(first["prefill-0"]) | images(first["decode-0"])
        assert len(inodes) == 1 and images(first["prefill-0"]) == images(first["decode-0"]), inodes
        arguments = Path(f"/proc/{first['decode-0']}/cmdline").read_text().split("\0")
        image = arguments[arguments.index("--image") + 1]
        assert image.startswith(f"/proc/{server.pid}/fd/"), image
        os.kill(first["decode-0"], signal.SIGKILL)
        again = eventually("a new worker", lambda: (found := workers()).get("decode-0") not in (None, first["decode-0"]) and found)
        assert images(again["decode-0"]) == inodes
        status, answer, _ = get(folder / "api", "/v1/completions", {"model": "model", "prompt": "x", "max_tokens": 1})
        assert status == 200, answer
        server.signal(signal.SIGKILL)
        server.ending()
        eventually("the end of the workers", lambda: not any(map(alive, again.values())))
        assert not os.path.exists(image)


def check_damaged() -> None:
    with model() as folder:
        # The bundled model is packed.
        file = folder / "model/model.safetensors"
        with open(file, "r+b") as packed:
            length = int.from_bytes(packed.read(8), "little")
            header = json.loads(packed.read(length))
            name = "model.layers.0.mlp.down_proj.weight"
            start, end = header[name]["data_offsets"]
            packed.seek(8 + length + (start + end) // 2)
            byte = packed.read(1)[0]
            packed.seek(-1, os.SEEK_CUR)
            packed.write(bytes([byte ^ 16]))
        for mode in ("auto", "image", "memory"):
            server = serve(folder, "--set", f"model.load={mode}")
            assert server.ending() == 1, server.log
            assert "model.safetensors" in server.log and name in server.log, server.log
            assert not server.lines, server.lines


if __name__ == "__main__":
    {"held": check_held, "ended": check_ended, "shared": check_shared, "damaged": check_damaged}[sys.argv[1]]()
