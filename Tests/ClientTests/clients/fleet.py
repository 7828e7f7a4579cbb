"""Gateways and workers as processes of their own, which the scripts `fleet_*.py` start, hurt and end.

    FERRY_PROGRAM     the executable (default .build/release/ferry of this repository)
    FERRY_MODEL       the bundled model's directory

Waiting is always for a condition, which is asked for again and again until a deadline; no test passes or fails by how long something took.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from service import MODEL_DIRECTORY, run

PROGRAM = os.environ.get("FERRY_PROGRAM", str(Path(__file__).resolve().parents[3] / ".build/release/ferry"))
# Clients that read fast must not keep the thread that kills from doing so.
sys.setswitchinterval(0.0002)
# No condition takes so long unless something hangs.
PATIENCE = 60.0
# Workers show their state often, which the tests wait for; a busy machine alone makes none of them suspect.
QUICK = {"fleet.pulse": "0.2", "fleet.suspect_after": "4", "fleet.lost_after": "15"}


def eventually(what, condition, seconds: float = PATIENCE):
    """The condition's first true value; an error with `what` (a text, or a function that makes one) if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.005)  # the pace of asking, not a wait for something to be done by then


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Process:
    """A running `ferry`, in a process group of its own; it does not outlive this script."""

    def __init__(self, *arguments: str):
        self.errors = tempfile.NamedTemporaryFile(mode="w+", prefix="ferry-test-", suffix=".log")
        parent_death_signal = 1
        library = ctypes.CDLL(None)
        self.process = subprocess.Popen(
            [PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, text=True, start_new_session=True,
            preexec_fn=lambda: library.prctl(parent_death_signal, signal.SIGKILL))
        self.pid = self.process.pid
        self.lines: list[str] = []
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def line(self, prefix: str) -> str:
        """What follows `prefix` on the line that begins with it."""
        def found():
            matching = [x.removeprefix(prefix) for x in self.lines if x.startswith(prefix)]
            assert matching or self.process.poll() is None, f"{prefix!r} did not come, exit status {self.process.returncode}:\n{self.log}"
            return matching
        return eventually(f"a line {prefix!r}", found)[0]

    @property
    def log(self) -> str:
        return Path(self.errors.name).read_text()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ending(self, seconds: float = PATIENCE) -> int:
        """The exit status; below zero for a signal."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.process.args} did not end within {seconds} s:\n{self.log[-4000:]}") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)


def flags(settings: dict[str, str]) -> list[str]:
    return [x for key, value in settings.items() for x in ("--set", f"{key}={value}")]


class Worker(Process):
    """`ferry worker`, started here and not by a gateway."""

    def __init__(self, join: str, name: str, role: str = "prefill,decode", *arguments: str, model: Path | str = MODEL_DIRECTORY, **settings: str):
        self.name = name
        super().__init__("worker", "--join", join, "--name", name, "--role", role, "--model", str(model), *arguments, *flags(settings))

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is not None:
            print(f"--- worker {self.name}\n{self.log[-2000:]}")
        self.kill()

    def end(self) -> None:
        self.signal(signal.SIGTERM)
        assert (status := self.ending()) == 0, f"{self.name} ended with {status}:\n{self.log[-2000:]}"


@dataclass
class Answer:
    """What a client got."""
    status: int = 200
    tokens: list[list[int]] = field(default_factory=list)
    logprobs: list[list[float]] = field(default_factory=list)
    finish: list[str | None] = field(default_factory=list)
    report: dict | None = None
    error: dict | None = None
    done: bool = False

    def take(self, message: dict) -> int:
        """One event, or a whole body; the number of tokens in it."""
        self.report = message.get("ferry") or self.report
        self.error = message.get("error") or self.error
        count = 0
        for choice in message.get("choices", []):
            while len(self.tokens) <= choice["index"]:
                self.tokens.append([])
                self.logprobs.append([])
                self.finish.append(None)
            new = choice.get("token_ids") or []
            count += len(new)
            self.tokens[choice["index"]] += new
            if probabilities := choice.get("logprobs"):
                self.logprobs[choice["index"]] += probabilities["token_logprobs"]
            self.finish[choice["index"]] = choice.get("finish_reason") or self.finish[choice["index"]]
        return count

    @property
    def attempts(self) -> int:
        return self.report["attempts"] if self.report else 0

    @property
    def count(self) -> int:
        return sum(map(len, self.tokens))

    def must_equal(self, other: Answer, what: str = "") -> None:
        assert self.error is None, f"{what}: {self.error}"
        for index, (mine, theirs) in enumerate(zip(self.tokens, other.tokens, strict=True)):
            place = next((i for i, (a, b) in enumerate(zip(mine, theirs)) if a != b), min(len(mine), len(theirs)))
            assert mine == theirs, f"{what}: choice {index} has {len(mine)} tokens for {len(theirs)} and differs at {place}; {self.report}"
        assert self.finish == other.finish, f"{what}: {self.finish} for {other.finish}"
        assert self.logprobs == other.logprobs, f"{what}: logprobs differ"


class Request(threading.Thread):
    """A completion in work. `answer` fills while it streams; `result()` waits for its end."""

    def __init__(self, gateway: Gateway, body: dict, headers: dict[str, str] | None = None, leave_after: int | None = None):
        super().__init__(daemon=True)
        self.gateway, self.answer, self.failure, self.leave_after = gateway, Answer(), None, leave_after
        self.body = {"model": MODEL_DIRECTORY.name, "stream": True, "return_token_ids": True, "ferry": True, "ignore_eos": True, **body}
        self.headers = {"content-type": "application/json", **(headers or {})}
        self.start()

    def run(self) -> None:
        try:
            address = urllib.parse.urlsplit(self.gateway.url)
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
            connection.request("POST", "/v1/completions", json.dumps(self.body), self.headers)
            if self.leave_after == -1:
                return connection.close()
            response = connection.getresponse()
            self.answer.status = response.status
            if response.status != 200 or not self.body["stream"]:
                self.answer.take(json.loads(response.read()))
                self.answer.done = response.status == 200
                return
            while line := response.readline():
                text = line.decode().strip()
                if text == "data: [DONE]":
                    self.answer.done = True
                elif text.startswith("data: "):
                    assert not self.answer.done, "an event after [DONE]"
                    self.answer.take(json.loads(text[6:]))
                    if self.leave_after is not None and self.answer.count >= self.leave_after:
                        # A reset, as from a client whose machine is gone.
                        connection.sock and connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        response.close()
                        connection.close()
                        return
            connection.close()
        except Exception as error:
            self.failure = error

    def has(self, count: int) -> bool:
        """Whether so many tokens have come; an error if it ended without."""
        if self.answer.count >= count:
            return True
        assert self.is_alive(), f"ended after {self.answer.count} tokens: {self.failure!r} {self.answer.error}"
        return False

    def result(self, seconds: float = PATIENCE) -> Answer:
        self.join(seconds)
        assert not self.is_alive(), f"no end after {seconds} s and {self.answer.count} tokens"
        if self.failure:
            raise self.failure
        return self.answer

    def whole(self) -> Answer:
        """The answer, which must have come to its end without an error."""
        answer = self.result()
        assert answer.status == 200 and answer.error is None and answer.done, f"{answer.status} {answer.error} done {answer.done} after {answer.count} tokens"
        return answer


class Gateway(Process):
    """`ferry serve`. As a context: at its end nothing may be left of what was done, a fresh request must be answered, and SIGTERM must
    end it with exit status 0."""

    def __init__(self, settings: dict[str, str] | None = None, listen: str = "127.0.0.1:0", admin: str = "127.0.0.1:0"):
        self.settings = {**QUICK, **(settings or {})}
        super().__init__("serve", "--model", str(MODEL_DIRECTORY), "--listen", listen, "--admin", admin, *flags(self.settings))
        self.url, self.admin = self.line("listening on "), self.line("admin on ")

    @property
    def join(self) -> str:
        return self.line("fleet on ")

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is not None:
            print(f"--- gateway\n{self.log[-6000:]}")
            return self.kill()
        if self.process.poll() is None:
            try:
                self.must_be_settled()
                self.ask({"prompt": "Once more.", "max_tokens": 3}).whole()
                self.must_be_settled()
            except Exception:
                print(f"--- gateway\n{self.log[-6000:]}")
                self.kill()
                raise
            self.end()

    def end(self) -> None:
        self.signal(signal.SIGTERM)
        assert (status := self.ending()) == 0, f"the gateway ended with {status}:\n{self.log[-4000:]}"
        self.must_have_had_no_accident()

    def must_have_had_no_accident(self) -> None:
        """Workers that crash are replaced, and nobody would know: they die of these tests' blows alone."""
        for line in self.log.splitlines():
            crashed = "worker ended" in line and "signal 9" not in line
            assert not crashed and " critical " not in line and "nonsense" not in line, line

    # Requests

    def ask(self, body: dict, headers: dict[str, str] | None = None, leave_after: int | None = None) -> Request:
        return Request(self, body, headers, leave_after)

    # The operator's side

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(self.admin + path, timeout=PATIENCE) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def post(self, path: str, body: dict | None = None) -> tuple[int, dict]:
        request = urllib.request.Request(self.admin + path, json.dumps(body or {}).encode(), {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def operate(self, path: str, body: dict | None = None) -> dict:
        status, answer = self.post(path, body)
        assert status == 200, f"POST {path}: {status} {answer}"
        return answer

    @property
    def workers(self) -> dict[str, dict]:
        return {w["id"]: w for w in json.loads(self.get("/fleet")[1])["workers"]}

    @property
    def requests(self) -> list[dict]:
        return json.loads(self.get("/requests")[1])["requests"]

    @property
    def is_ready(self) -> bool:
        return self.get("/health/ready")[0] == 200

    def metric(self, name: str) -> dict[str, float]:
        """Its values by the text of its labels."""
        found = {}
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                labels, value = line[len(name):].rsplit(" ", 1)
                found[labels] = float(value)
        return found

    def total(self, name: str) -> float:
        return sum(self.metric(name).values())

    def pid_of(self, worker: str) -> int:
        return self.workers[worker]["pid"]

    def wait_for(self, *names: str, but: dict[str, int] | None = None) -> dict[str, dict]:
        """Until these workers are ready, under other processes than those in `but`."""
        def there():
            now = self.workers
            ready = all(n in now and now[n]["state"] == "ready" and now[n]["pid"] != (but or {}).get(n) for n in names)
            return now if ready else None
        return eventually(lambda: f"{names} ready: { {n: (w['state'], w['pid']) for n, w in self.workers.items()} }\n{self.log[-2000:]}", there)

    def left(self) -> list[str]:
        """What is in work, one text each."""
        left = [f"request {r}" for r in self.requests]
        for name, worker in self.workers.items():
            left += [f"{name} {k} {worker[k]}" for k in ["sequences", "running", "waiting", "pending_prefill_tokens", "exports", "imports"] if worker[k]]
            # Leases at the one end and fetches at the other.
            if worker.get("open_transfers"):
                left.append(f"{name} open_transfers {worker['open_transfers']}")
            if worker["pages_available"] != worker["pages_total"]:
                left.append(f"{name} has {worker['pages_available']} of {worker['pages_total']} pages")
        for name in ["ferry_requests_active", "ferry_sequences_running", "ferry_sequences_waiting", "ferry_permits_held", "ferry_queued_prompt_tokens"]:
            left += [f"{name} {value}" for value in self.metric(name).values() if value]
        assert self.total("ferry_token_divergences_total") == 0, "a worker computed another token than the one before it"
        return left

    def must_be_settled(self) -> None:
        """Nothing is in work anywhere, and every page, lease and transfer is free."""
        eventually(lambda: f"free of work: {self.left()}", lambda: not self.left())


class Reference:
    """The answers of one worker that nobody disturbs."""

    def __init__(self):
        self.gateway: Gateway | None = None
        self.known: dict[str, Answer] = {}

    def answer(self, body: dict) -> Answer:
        body = {k: v for k, v in body.items() if k not in ("stream", "timeout")}
        key = json.dumps(body, sort_keys=True)
        if key not in self.known:
            if self.gateway is None:
                self.gateway = Gateway({"fleet.workers": "prefill+decode"})
            self.known[key] = self.gateway.ask({**body, "stream": False}).whole()
        return self.known[key]


reference = Reference()

WORDS = "the ferry left the harbour before dawn and nobody on the pier could say which of the lamps it carried was the last to fade".split()


def prompt(words: int, number: int = 0) -> str:
    """Text of about one or two tokens a word; another one for every number, from its first page on."""
    return f"{number}. " + " ".join(WORDS[(i * i + number + i) % len(WORDS)] for i in range(words))


def service_run(checks: dict) -> None:
    """As `service.run`; ends the reference with it."""
    try:
        run(checks)
    finally:
        if reference.gateway:
            reference.gateway.kill()
