"""Lives of requests and of the whole: clients that leave, deadlines, draining, changed roles, and the end."""

from __future__ import annotations

import os
import random
import re
import signal
import threading

from fleet import Gateway, alive, eventually, prompt, reference, service_run


def body(number: int, words: int = 120, tokens: int = 100, **options) -> dict:
    return {"prompt": prompt(words, number), "max_tokens": tokens, "temperature": 0.8, "seed": number, **options}


def check_a_storm_of_cancels_leaves_nothing_behind():
    with Gateway({"gateway.max_sequences": "64"}) as gateway:
        rng = random.Random(1)
        stayers = {n: body(n, words=[8, 60, 130, 260][n % 4], tokens=60) for n in range(12)}
        wanted = {n: reference.answer(b) for n, b in stayers.items()}
        counts = {"left": 0, "stayed": 0}
        lock, failures = threading.Lock(), []
        work = list(range(240))

        def client() -> None:
            while True:
                with lock:
                    if not work or failures:
                        return
                    number = work.pop()
                try:
                    if number % 8 == 0:
                        n = number // 8 % 12
                        gateway.ask(stayers[n]).whole().must_equal(wanted[n], f"stayer {n}")
                        counts["stayed"] += 1
                    else:
                        leave = rng.choice([-1, 1, 1, 2, 5, 30])
                        gateway.ask(body(1000 + number, words=rng.choice([4, 50, 150, 300]), tokens=200), leave_after=leave).result()
                        counts["left"] += 1
                except BaseException as error:
                    failures.append(error)

        clients = [threading.Thread(target=client, daemon=True) for _ in range(12)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(120)
        if failures:
            raise failures[0]
        gateway.must_be_settled()
        split, whole = (gateway.metric("ferry_placements_total")[f'{{model_name="pilot",kind="{k}"}}'] for k in ["split", "whole"])
        assert split > 0 and whole > 0, (split, whole)
        buckets = sorted(
            (float(re.search('le="([^"]+)"', labels)[1]), count) for labels, count in gateway.metric("ferry_cancel_to_free_seconds_bucket").items())
        total = buckets[-1][1]
        assert total > 0, "no cancel was counted"
        p99 = next(edge for edge, count in buckets if count >= 0.99 * total)
        print(f"{counts}, placements: {split:.0f} split, {whole:.0f} whole; {total:.0f} cancels freed, p99 at most {p99 * 1000:g} ms")
        assert p99 <= 1, f"p99 of cancel to free is {p99} s"


def check_deadlines_are_kept_and_said():
    with Gateway() as gateway:
        for value in [0, -1, "soon", 1e9]:
            answer = gateway.ask(body(1, timeout=value)).result()
            assert answer.status == 400 and answer.error["param"] == "timeout", (value, answer.status, answer.error)
        for value in ["0", "-1", "soon", "1e3", "99999999"]:
            answer = gateway.ask(body(1), headers={"x-request-timeout": value}).result()
            assert answer.status == 400 and answer.error["param"] == "x-request-timeout", (value, answer.status, answer.error)
        for options in [{"stream": True}, {"stream": False}]:
            # Long over before the prompt is read.
            answer = gateway.ask(body(2, words=300, timeout=0.000_001, **options)).result()
            assert answer.status == 504 and answer.error["code"] == "deadline_exceeded", (answer.status, answer.error)
            answer = gateway.ask(body(2, words=300, **options), headers={"x-request-timeout": "0.000001"}).result()
            assert answer.status == 504 and answer.error["code"] == "deadline_exceeded", (answer.status, answer.error)
        # In the middle of decoding: with workers that have a long way to go.
        want = reference.answer(body(3, words=20, tokens=1800, n=4))
        for request in [
            gateway.ask(body(3, words=20, tokens=1800, n=4, timeout=0.5)),
            gateway.ask(body(3, words=20, tokens=1800, n=4), headers={"x-request-timeout": "0.5"}),
        ]:
            answer = request.result()
            assert answer.status == 200 and answer.error and answer.error["code"] == "deadline_exceeded" and not answer.done, (answer.status, answer.error, answer.count)
            assert 0 < answer.count < want.count, answer.count
            for mine, theirs in zip(answer.tokens, want.tokens):
                assert mine == theirs[:len(mine)], "what came before the deadline was not right"
        gateway.must_be_settled()
        gateway.ask(body(5, timeout=60)).whole().must_equal(reference.answer(body(5)))


def check_a_deadline_ends_a_pull_that_takes_too_long():
    with Gateway() as gateway:
        gateway.operate("/fleet/prefill-0/links", {"rate": 100_000})
        request = gateway.ask(body(4, words=200, timeout=1.5))
        eventually("the first token", lambda: request.has(1))
        answer = request.result()
        assert answer.error and answer.error["code"] == "deadline_exceeded", (answer.error, answer.report)
        gateway.operate("/fleet/prefill-0/links", {})
        gateway.must_be_settled()


def check_a_drained_worker_ends_what_it_has_and_gets_nothing_new():
    with Gateway() as gateway:
        wanted = {n: reference.answer(body(n, tokens=200)) for n in range(20, 26)}
        requests = {n: gateway.ask(body(n, tokens=200)) for n in range(20, 23)}
        eventually("tokens", lambda: all(r.has(3) for r in requests.values()))
        gateway.operate("/fleet/decode-0/drain")
        later = {n: gateway.ask(body(n, tokens=200)) for n in range(23, 26)}
        for n, request in (requests | later).items():
            answer = request.whole()
            answer.must_equal(wanted[n], f"request {n}")
            assert answer.attempts == 1, answer.report
            if n in later:
                assert answer.report["workers"] == {"prefill": "prefill-0", "decode": "prefill-0"}, answer.report
        eventually("drained", lambda: gateway.workers["decode-0"]["state"] == "drained")
        assert gateway.is_ready
        gateway.operate("/fleet/decode-0/undrain")
        gateway.wait_for("decode-0")
        answer = gateway.ask(body(27)).whole()
        answer.must_equal(reference.answer(body(27)))
        assert answer.report["workers"]["decode"] == "decode-0", answer.report
        # With nobody left, those who come are told so.
        for name in ["decode-0", "prefill-0"]:
            gateway.operate(f"/fleet/{name}/drain")
        assert not gateway.is_ready
        answer = gateway.ask(body(28)).result()
        assert answer.status == 503, (answer.status, answer.error)
        assert gateway.post("/fleet/nobody/drain")[0] == 404
        for name in ["decode-0", "prefill-0"]:
            gateway.operate(f"/fleet/{name}/undrain")


def check_roles_are_swapped_under_load():
    with Gateway() as gateway:
        wanted = {n: reference.answer(body(n)) for n in range(30, 42)}
        requests = {}
        for n in wanted:
            if n == 33:
                eventually("tokens", lambda: requests[30].has(1))
                gateway.operate("/fleet/prefill-0/roles", {"roles": "decode"})
                gateway.operate("/fleet/decode-0/roles", {"roles": "prefill"})
            if n == 38:
                eventually("tokens", lambda: requests[33].has(1))
                gateway.operate("/fleet/decode-0/roles", {"roles": "prefill,decode"})
            requests[n] = gateway.ask(body(n))
        for n, request in requests.items():
            request.whole().must_equal(wanted[n], f"request {n}")
        gateway.operate("/fleet/decode-0/roles", {"roles": "prefill"})
        answer = gateway.ask(body(50)).whole()
        answer.must_equal(reference.answer(body(50)))
        assert answer.report["workers"]["decode"] == "prefill-0", answer.report
        assert gateway.post("/fleet/prefill-0/roles", {"roles": "cook"})[0] == 400
        # A role that an operator gave outlives the process.
        pid = gateway.pid_of("prefill-0")
        os.kill(pid, signal.SIGKILL)
        assert gateway.wait_for("prefill-0", but={"prefill-0": pid})["prefill-0"]["roles"] == ["decode"]


def check_split_and_whole_answer_alike():
    with Gateway() as gateway:
        seen = []
        kinds = [
            {"temperature": 0}, {"temperature": 0.8, "seed": 9}, {"temperature": 0.9, "seed": 4, "top_p": 0.9, "top_k": 40, "logprobs": 3},
            {"temperature": 0.7, "seed": 2, "presence_penalty": 0.6, "frequency_penalty": 0.4, "repetition_penalty": 1.2, "logprobs": 1},
            {"temperature": 0.8, "seed": 3, "n": 2, "logprobs": 0},
        ]
        # Of a page each: less than one, just one, two and one token, many.
        prompts = [[5, 9, 11], [7 + i % 1500 for i in range(64)], [11 + 3 * i % 1500 for i in range(129)], [13 + 7 * i % 1900 for i in range(1500)]]
        for tokens in prompts:
            requests = [(kind, {"prompt": tokens, "max_tokens": 24, **kind}) for kind in kinds]
            running = [(b, gateway.ask(b)) for _, b in requests]
            for b, request in running:
                answer = request.whole()
                answer.must_equal(reference.answer(b), f"{len(tokens)} tokens, {[v for k, v in b.items() if k != 'prompt']}")
                if "logprobs" in b:
                    assert len(answer.logprobs[0]) == len(answer.tokens[0]), "a token without its logprob"
                seen.append(answer.report["workers"]["prefill"] != answer.report["workers"]["decode"])
        print(f"{len(seen)} answers alike, {sum(seen)} of them handed over")
        assert any(seen), "nothing was handed over"


def check_a_signal_to_the_whole_group_lets_streams_end():
    with Gateway() as gateway:
        wanted = {n: reference.answer(body(n, tokens=300)) for n in range(60, 64)}
        children = [w["pid"] for w in gateway.workers.values()]
        requests = {n: gateway.ask(body(n, tokens=300)) for n in wanted}
        eventually("tokens", lambda: all(r.has(1) for r in requests.values()))
        os.killpg(gateway.pid, signal.SIGTERM)
        for n, request in requests.items():
            request.whole().must_equal(wanted[n], f"request {n}")
        assert gateway.ending() == 0, gateway.log[-3000:]
        eventually("the children's end", lambda: not any(map(alive, children)))


def check_workers_of_a_killed_gateway_end_by_themselves():
    with Gateway() as gateway:
        children = [w["pid"] for w in gateway.workers.values()]
        request = gateway.ask(body(70, tokens=1500))
        eventually("tokens", lambda: request.has(1))
        gateway.signal(signal.SIGKILL)
        gateway.ending()
        eventually("the children's end", lambda: not any(map(alive, children)))


if __name__ == "__main__":
    service_run(globals())
