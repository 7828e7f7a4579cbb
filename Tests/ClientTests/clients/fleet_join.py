"""Workers that come from elsewhere: who is let in, who is not, what they do, and what goes over encrypted links."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

from fleet import PROGRAM, Gateway, Process, Worker, eventually, flags, prompt, reference, service_run
from service import MODEL_DIRECTORY

OPEN = {"fleet.listen": "127.0.0.1:0"}
BAD_CONFIGURATION = 78
QUIET = {"fleet.suspect_after": "5", "fleet.lost_after": "30"}


def body(number: int, **options) -> dict:
    return {"prompt": prompt(130, number), "max_tokens": 60, "temperature": 0.8, "seed": number, **options}


def must_answer(gateway: Gateway, *numbers: int) -> list[dict]:
    """Their reports."""
    wanted = [reference.answer(body(n)) for n in numbers]
    requests = [gateway.ask(body(n)) for n in numbers]
    reports = []
    for number, request, want in zip(numbers, requests, wanted):
        answer = request.whole()
        answer.must_equal(want, f"request {number}")
        reports.append(answer.report)
    return reports


@contextlib.contextmanager
def changed_model(change):
    """A copy of the model with one thing changed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / MODEL_DIRECTORY.name
        shutil.copytree(MODEL_DIRECTORY, copy)
        change(copy)
        yield copy


def change_weights(model: Path) -> None:
    # A packed model that was changed would be a damaged one.
    plain = model.parent / "plain"
    subprocess.run([PROGRAM, "unpack", str(model), "--output", str(plain)], check=True, capture_output=True, timeout=60)
    shutil.copy(plain / "model.safetensors", model)
    with open(model / "model.safetensors", "r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(64))


def change_tokenizer(model: Path) -> None:
    file = model / "tokenizer.json"
    file.write_bytes(file.read_bytes() + b"\n")


def change_configuration(model: Path) -> None:
    file = model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "rope_theta": 20_000.0}))


def check_a_worker_that_does_not_fit_is_refused_with_the_reason():
    with Gateway(OPEN) as gateway, tempfile.TemporaryDirectory() as cache:
        before = {name: w["pid"] for name, w in gateway.workers.items()}

        def refused(field: str, model: Path = MODEL_DIRECTORY, **settings: str) -> None:
            with Worker(gateway.join, "stranger", model=model, **{"model.cache": cache, **settings}) as worker:
                assert (status := worker.ending()) == BAD_CONFIGURATION, f"{field}: exit status {status}\n{worker.log}"
                assert "fingerprint_mismatch" in worker.log and field in worker.log, f"{field}:\n{worker.log}"

        refused("the dtype", **{"model.dtype": "f32"})
        for field, change in [("the model", change_weights), ("the tokenizer", change_tokenizer), ("the model", change_configuration)]:
            with changed_model(change) as model:
                refused(field, model)
        assert gateway.metric("ferry_workers_refused_total") == {'{model_name="pilot",code="fingerprint_mismatch"}': 4}, gateway.metric("ferry_workers_refused_total")
        assert {name: w["pid"] for name, w in gateway.workers.items()} == before
        must_answer(gateway, 1)


def check_a_name_belongs_to_one_worker_while_it_lives():
    with Gateway(OPEN | QUIET) as gateway:
        pid = gateway.pid_of("decode-0")
        with Worker(gateway.join, "decode-0"):
            eventually("a refusal", lambda: gateway.metric("ferry_workers_refused_total").get('{model_name="pilot",code="name_in_use"}', 0) > 1)
            assert gateway.pid_of("decode-0") == pid
            must_answer(gateway, 2)
        with Worker(gateway.join, "extra") as first, Worker(gateway.join, "extra") as second:
            eventually("the first of them", lambda: "extra" in gateway.workers)
            holder = next(w for w in (first, second) if w.pid == gateway.pid_of("extra"))
            holder.signal(signal.SIGKILL)
            # The other one has not stopped asking.
            gateway.wait_for("extra", but={"extra": holder.pid})
            must_answer(gateway, 3)
        eventually("the end of extra", lambda: "extra" not in gateway.workers)


def check_a_fleet_of_workers_from_elsewhere_serves_and_survives_its_gateway():
    with contextlib.ExitStack() as stack:
        with Gateway({"fleet.workers": "", **OPEN}) as gateway:
            assert not gateway.is_ready, "ready without a worker"
            assert gateway.ask(body(10)).result().status == 503
            joins = {"p": "prefill", "d": "decode"}
            workers = {name: stack.enter_context(Worker(gateway.join, name, role)) for name, role in joins.items()}
            gateway.wait_for(*workers)
            [report] = must_answer(gateway, 10)
            assert report["workers"] == {"prefill": "p", "decode": "d"} and report["kv"], report
            # One of them is ended in the middle of its work.
            request, want = gateway.ask(body(11, max_tokens=300)), reference.answer(body(11, max_tokens=300))
            eventually("tokens", lambda: request.has(20))
            workers["d"].end()
            request.whole().must_equal(want)
            workers["d"] = stack.enter_context(Worker(gateway.join, "d", "decode"))
            gateway.wait_for("d")
            # The gateway is killed with a stream open, and another one takes its place.
            request = gateway.ask(body(12, max_tokens=1000))
            eventually("tokens", lambda: request.has(1))
            gateway.signal(signal.SIGKILL)
            gateway.ending()
            place = gateway.join.removeprefix("http://")
        with Gateway({"fleet.workers": "", "fleet.listen": place}, listen=gateway.url.removeprefix("http://")) as gateway:
            now = gateway.wait_for("p", "d")
            assert {n: now[n]["pid"] for n in workers} == {n: w.pid for n, w in workers.items()}
            gateway.must_be_settled()
            reports = must_answer(gateway, *range(12, 16))
            assert all(r["attempts"] == 1 for r in reports), reports
        # Without a gateway they wait, and end when they are told to.
        for worker in workers.values():
            worker.end()


def check_two_prefill_and_two_decode_workers_share_the_work():
    with Gateway({"fleet.workers": "prefill,prefill,decode,decode", "engine.threads": "1"}) as gateway:
        reports = must_answer(gateway, *range(20, 36))
        used = {kind: {r["workers"][kind] for r in reports} for kind in ["prefill", "decode"]}
        assert used["decode"] >= {"decode-0", "decode-1"} and used["prefill"] >= {"prefill-0", "prefill-1"}, used
        print(f"{sum(r['kv'] is not None for r in reports)} of {len(reports)} handed over")


# Encrypted

def own_address() -> str:
    """One of this machine that is not the loopback's; without one, all of them, which is just as little a private one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return "0.0.0.0"


ADDRESS = own_address()
AUTHORITY = Path(__file__).resolve().parents[3] / "deploy/fleet-ca.sh"


def certificates(folder: str, *names: str) -> dict[str, dict[str, str]]:
    subprocess.run(["sh", str(AUTHORITY), folder, *names], check=True, capture_output=True)
    return {
        name: {"fleet.tls_certificate": f"{folder}/{name}.crt", "fleet.tls_key": f"{folder}/{name}.key", "fleet.tls_authority": f"{folder}/ca.crt"}
        for name in names
    }


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def answer_to(address: str, sent: bytes, context: ssl.SSLContext | None) -> bytes:
    """What a server says to a stranger until it hangs up."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as plain:
        got = b""
        try:
            connection = context.wrap_socket(plain, server_hostname="ferry-fleet") if context else plain
            connection.sendall(sent)
            while piece := connection.recv(65536):
                got += piece
        except TimeoutError:
            raise AssertionError(f"{address} keeps a stranger's connection, and said {got!r}") from None
        except OSError:  # an alert or a reset
            pass
        return got


def must_tell_nothing(address: str, stranger: dict[str, str]) -> None:
    def context(identity: dict[str, str] | None) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        made.set_alpn_protocols(["h2"])
        if identity:
            made.load_cert_chain(identity["fleet.tls_certificate"], identity["fleet.tls_key"])
        return made

    assert (got := answer_to(address, PREFACE, context(None))) == b"", f"without a certificate: {got!r}"
    assert (got := answer_to(address, PREFACE, context(stranger))) == b"", f"with a stranger's certificate: {got!r}"
    for sent in [PREFACE, b"GET /fleet HTTP/1.1\r\nhost: ferry\r\n\r\n"]:
        # An alert of TLS is all that may come.
        got = answer_to(address, sent, None)
        assert b"HTTP" not in got and len(got) <= 7 and got[:1] in (b"", b"\x15"), f"in clear: {got!r}"


def check_only_certificates_of_the_fleet_open_its_doors():
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs, contextlib.ExitStack() as stack:
        us, stranger = certificates(ours, "gateway", "p", "d"), certificates(theirs, "x")["x"]
        with Gateway({"fleet.workers": "", "fleet.listen": f"{ADDRESS}:0"} | us["gateway"]) as gateway:
            assert gateway.join.startswith("https://"), gateway.join
            workers = {
                name: stack.enter_context(Worker(gateway.join, name, role, "--listen", f"{ADDRESS}:0", **us[name]))
                for name, role in [("p", "prefill"), ("d", "decode")]
            }
            doors = [gateway.join.removeprefix("https://")] + [w["address"] for w in gateway.wait_for(*workers).values()]
            [report] = must_answer(gateway, 40)
            assert report["workers"] == {"prefill": "p", "decode": "d"} and report["kv"], report
            print(f"{report['kv']['sent_bytes']} bytes of KV between {doors[1]} and {doors[2]}")

            for door in doors:
                must_tell_nothing(door, stranger)
            with Worker(gateway.join, "x", "decode", "--listen", "127.0.0.1:0", **stranger) as outsider:
                eventually("that it finds no way in", lambda: "gateway not reached" in outsider.log)
                assert set(gateway.workers) == {"p", "d"}
            # Without certificates it does not even try; nor in clear.
            for join in [gateway.join, gateway.join.replace("https:", "http:")]:
                with Worker(join, "x", "decode") as outsider:
                    assert outsider.ending() == BAD_CONFIGURATION, outsider.log
            assert set(gateway.workers) == {"p", "d"}
            must_answer(gateway, 41, 42)
            for worker in workers.values():
                worker.end()
            eventually("an empty fleet", lambda: not gateway.workers)
            with Worker(gateway.join, "w", "prefill,decode", "--listen", f"{ADDRESS}:0", **us["p"]):
                gateway.wait_for("w")
                must_answer(gateway, 43)
                gateway.must_be_settled()
                gateway.end()


def check_an_address_that_others_can_reach_needs_certificates():
    keys = ["fleet.tls_certificate", "fleet.tls_key", "fleet.tls_authority"]
    serve = ["serve", "--model", str(MODEL_DIRECTORY), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    worker = ["worker", "--join", "http://127.0.0.1:1", "--model", str(MODEL_DIRECTORY), "--name", "w"]
    for arguments, named in [
        (serve + flags({"fleet.listen": f"{ADDRESS}:0"}), keys),
        (serve + flags({"fleet.listen": f"{ADDRESS}:0", "fleet.tls_certificate": "/nowhere"}), keys),
        (worker + ["--listen", f"{ADDRESS}:0"], keys[:1]),
    ]:
        process = Process(*arguments)
        assert process.ending() == BAD_CONFIGURATION, process.log
        for key in named:
            assert key in process.log, f"{key} is not named: {process.log}"


if __name__ == "__main__":
    service_run(globals())
