"""Workers that stop without dying: noticed, replaced, and harmless when they go on in time."""

from __future__ import annotations

import json
import os
import signal

from fleet import Gateway, alive, eventually, prompt, reference, service_run

# Shorter than usual, so that being given up is waited for; a busy machine may take a worker for lost that is not, which changes no answer.
IMPATIENT = {"fleet.pulse": "0.2", "fleet.suspect_after": "0.5", "fleet.lost_after": "1"}


def body(number: int, **options) -> dict:
    return {"prompt": prompt(120, number), "max_tokens": 120, "temperature": 0.8, "seed": number, **options}


def send(number: int, *pids: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def check_a_frozen_worker_is_given_up_killed_and_replaced():
    with Gateway(IMPATIENT) as gateway:
        for index, victims in enumerate([["prefill-0"], ["decode-0"], ["prefill-0", "decode-0"]]):
            wanted = {n: reference.answer(body(n)) for n in range(10 * index, 10 * index + 4)}
            workers = gateway.wait_for("prefill-0", "decode-0")
            requests = {n: gateway.ask(body(n)) for n in list(wanted)[:2]}
            eventually("tokens", lambda: all(r.has(5) for r in requests.values()))
            pids = {name: workers[name]["pid"] for name in victims}
            send(signal.SIGSTOP, *pids.values())
            # Those that come now meet a fleet that does not know yet.
            requests |= {n: gateway.ask(body(n)) for n in list(wanted)[2:]}
            if len(victims) == 2:
                def unready():
                    status, text = gateway.get("/health/ready")
                    return status == 503 and json.loads(text)["reason"] == "no_worker"
                eventually("not ready", unready)
            for n, want in wanted.items():
                requests[n].whole().must_equal(want, f"request {n} with {victims} frozen")
            gateway.wait_for(*victims, but=pids)
            eventually("the end of frozen processes", lambda: not any(map(alive, pids.values())))
            eventually("ready", lambda: gateway.is_ready)


def check_a_short_pause_loses_nothing():
    with Gateway({"fleet.suspect_after": "5", "fleet.lost_after": "30"}) as gateway:
        workers = gateway.wait_for("prefill-0", "decode-0")
        pids = {name: workers[name]["pid"] for name in workers}
        for number, victims in enumerate([["prefill-0"], ["decode-0"], ["prefill-0", "decode-0"]], 50):
            want = reference.answer(body(number))
            request = gateway.ask(body(number))
            eventually("tokens", lambda: request.has(5))
            frozen = [pids[name] for name in victims]
            send(signal.SIGSTOP, *frozen)
            # Two pulses are missed.
            eventually("silence", lambda: all(gateway.workers[name]["silence_ms"] > 400 for name in victims))
            send(signal.SIGCONT, *frozen)
            answer = request.whole()
            answer.must_equal(want, f"{victims} paused")
            assert answer.attempts == 1, answer.attempts
        assert {name: w["pid"] for name, w in gateway.workers.items()} == pids, "a process was replaced"
        assert gateway.total("ferry_fleet_workers_lost_total") == 0


def check_a_suspect_gets_nothing_new_and_is_trusted_again():
    with Gateway({"fleet.suspect_after": "0.5", "fleet.lost_after": "30"}) as gateway:
        pid = gateway.wait_for("prefill-0", "decode-0")["prefill-0"]["pid"]
        send(signal.SIGSTOP, pid)
        try:
            eventually("suspicion", lambda: gateway.workers["prefill-0"]["state"] == "suspect")
            answer = gateway.ask(body(70)).whole()
            answer.must_equal(reference.answer(body(70)))
            assert answer.report["workers"] == {"prefill": "decode-0", "decode": "decode-0"} and answer.attempts == 1, answer.report
        finally:
            send(signal.SIGCONT, pid)
        assert gateway.wait_for("prefill-0")["prefill-0"]["pid"] == pid


if __name__ == "__main__":
    service_run(globals())
