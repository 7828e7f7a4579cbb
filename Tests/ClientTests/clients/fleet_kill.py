"""Workers die in every phase of a request's life. What the client gets is what it would have got anyway."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

from fleet import Gateway, eventually, prompt, reference, service_run

number = itertools.count(1)


def kinds(words: int, tokens: int) -> list[dict]:
    """One request of each kind, of prompts that nobody has seen."""
    def body(**options):
        return {"prompt": prompt(words, next(number)), "max_tokens": tokens, "temperature": 0, **options}
    return [
        body(temperature=0.8, seed=5),
        body(),
        body(temperature=0.8, seed=6, stream=False),
        body(temperature=0.7, seed=7, presence_penalty=0.5, frequency_penalty=0.5, repetition_penalty=1.1, logit_bias={"100": 2}),
        body(temperature=0.9, seed=8, n=2),
    ]


def kill(gateway: Gateway, *names: str) -> dict[str, int]:
    workers = gateway.workers
    pids = {name: workers[name]["pid"] for name in names}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    return pids


def survive(gateway: Gateway, victims: list[str], bodies: list[dict], moment, attempts: set[int], before=None, after=None) -> None:
    """Kills the victims when `moment(first request)` is true; all answers must be the undisturbed ones."""
    wanted = [reference.answer(body) for body in bodies]
    gateway.wait_for("prefill-0", "decode-0")
    if before:
        before()
    workers = gateway.workers
    pids = {name: workers[name]["pid"] for name in victims}
    requests = [gateway.ask(body) for body in bodies]
    eventually("the moment to kill", lambda: moment(requests[0]))
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    if after:
        after()
    for index, (request, want) in enumerate(zip(requests, wanted)):
        answer = request.whole()
        answer.must_equal(want, f"request {index} when {victims} died")
        if index == 0:
            assert answer.attempts in attempts, f"{answer.attempts} attempts, {attempts} were expected"
    gateway.wait_for(*victims, but=pids)


def freeze(gateway: Gateway, name: str) -> None:
    os.kill(gateway.pid_of(name), signal.SIGSTOP)


def check_killed_before_its_work_begins():
    with Gateway() as gateway:
        for victim in ["prefill-0", "decode-0"]:
            # Frozen, it gets its work and does not begin.
            survive(gateway, [victim], kinds(120, 24), lambda r: gateway.workers[victim]["sequences"] > 0, {1, 2}, before=lambda: freeze(gateway, victim))
        assert gateway.total("ferry_replays_total") > 0, gateway.metric("ferry_replays_total")


def processor_time(pid: int) -> float:
    """Seconds that the process has computed for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_killed_during_the_prefill_of_a_long_prompt():
    for victim, attempts in [("prefill-0", {2}), ("decode-0", {1, 2})]:
        # A new fleet each time: it has measured nothing yet that would speak against handing over.
        with Gateway({"engine.step_tokens": "16", "engine.threads": "1"}) as gateway:
            pid = gateway.pid_of("prefill-0")
            idle = processor_time(pid)

            def prefilling(request):
                assert not request.has(1), "the first token came before the prefill was seen"
                return processor_time(pid) > idle + 0.05

            bodies = kinds(120, 24)
            bodies[0]["prompt"] = prompt(1200, next(number))
            survive(gateway, [victim], bodies, prefilling, attempts)


def check_killed_right_after_the_first_token():
    with Gateway() as gateway:
        for victim, attempts in [("prefill-0", {1, 2}), ("decode-0", {2})]:
            survive(gateway, [victim], kinds(120, 250), lambda r: r.has(1), attempts)


def check_killed_during_the_pull_over_a_slow_link():
    for victim in ["prefill-0", "decode-0"]:
        # A new fleet each time: it has measured nothing yet that would speak against handing over.
        with Gateway() as gateway:
            survive(
                gateway, [victim], kinds(300, 24)[:4], lambda r: r.has(1) and gateway.workers["decode-0"]["imports"] > 0, {2},
                before=lambda: gateway.operate("/fleet/prefill-0/links", {"rate": 125_000}),
                after=lambda: eventually("the link restored", lambda: gateway.post("/fleet/prefill-0/links", {})[0] == 200))


def check_killed_in_the_middle_of_decoding():
    with Gateway() as gateway:
        for victim, attempts in [("prefill-0", {1}), ("decode-0", {2})]:
            survive(gateway, [victim], kinds(60, 400), lambda r: r.has(40), attempts)


def check_both_killed_at_once():
    # Their ends are noticed one after the other: between them, the second may have been tried.
    with Gateway() as gateway:
        for count in [1, 30]:
            def all_in_work(request):
                # One that came while there is nobody would be told so.
                return request.has(count) and sum(r["state"] != "preparing" for r in gateway.requests) == 5

            survive(gateway, ["prefill-0", "decode-0"], kinds(120, 350), all_in_work, {2, 3})


def check_killed_again_and_again():
    with Gateway({"fleet.attempts": "2"}) as gateway:
        body = {"prompt": prompt(60, 900), "max_tokens": 1000, "temperature": 0.8, "seed": 3, "n": 4}
        want = reference.answer(body)
        request = gateway.ask(body)
        for count in [4, 100]:
            eventually("tokens", lambda: request.has(count))
            pids = kill(gateway, *["decode-0", "prefill-0"][:1 if count == 4 else 2])
            if count == 4:
                gateway.wait_for("decode-0", but=pids)
        answer = request.result()
        assert answer.error and answer.error["code"] == "worker_lost", f"{answer.error} after {answer.count} tokens"
        assert not answer.done, "[DONE] after an error"
        for mine, theirs in zip(answer.tokens, want.tokens):
            assert mine == theirs[:len(mine)] and len(mine) < len(theirs), "what came before the end was not right"
        print(f"the error after {answer.count} tokens: {answer.error['message']}")
        gateway.wait_for("decode-0", "prefill-0", but=pids)


if __name__ == "__main__":
    service_run(globals())
