"""Links between workers that break, crawl or are left by their reader; and KV that nobody comes for."""

from __future__ import annotations

import itertools
import os
import signal

from fleet import Gateway, eventually, prompt, reference, service_run

# Every prompt is handed over, however short.
SPLIT = {"fleet.local_tokens": "0"}
SLOW = {"rate": 125_000}  # 1 Mb/s


def body(number: int, words: int = 300, **options) -> dict:
    return {"prompt": prompt(words, number), "max_tokens": 40, "temperature": 0.8, "seed": number, **options}


def lay(gateway: Gateway, **shape: int) -> None:
    gateway.operate("/fleet/prefill-0/links", shape)


def check_a_cut_link_is_resumed_or_the_prompt_computed_again():
    with Gateway(SPLIT) as gateway:
        seen = []
        for number, cut in enumerate([900_000, 600_000, 200_000, 70_000, 40_000, 4_000, 1]):
            want = reference.answer(body(number))
            # A peer that could not be reached is left alone for a while.
            lay(gateway)
            eventually("the link", lambda: [link["state"] for link in gateway.workers["decode-0"].get("links", [])] == ["open"])
            lay(gateway, break_after=cut)
            answer = gateway.ask(body(number)).whole()
            answer.must_equal(want, f"cut after {cut} bytes")
            kv = answer.report["kv"]
            assert answer.report["workers"]["prefill"] != answer.report["workers"]["decode"] or answer.attempts > 1, f"not handed over: {answer.report}"
            seen.append((cut, kv and kv["connections"], answer.attempts))
            assert answer.attempts > 1 or kv is None or kv["connections"] > 1 or kv["sent_bytes"] < cut, f"{cut}: {answer.report}"
        print(f"(cut after bytes, connections, attempts): {seen}")
        assert any(connections and connections > 1 and attempts == 1 for _, connections, attempts in seen), f"never resumed: {seen}"
        lay(gateway)
        again = itertools.count(100)

        def handed_over():
            number = next(again)
            answer = gateway.ask(body(number)).whole()
            answer.must_equal(reference.answer(body(number)))
            return answer.report["kv"]
        assert eventually("KV over the mended link", handed_over)["connections"] == 1


def check_the_first_token_does_not_wait_for_a_slow_link():
    with Gateway(SPLIT) as gateway:
        lay(gateway, **SLOW)
        want = reference.answer(body(200, words=100))
        request = gateway.ask(body(200, words=100))
        eventually("the first token", lambda: request.has(1))
        # What makes the second is still under way.
        eventually("the transfer", lambda: gateway.workers["decode-0"]["imports"] == 1 and gateway.workers["prefill-0"]["exports"] == 1)
        assert request.answer.count == 1, f"{request.answer.count} tokens before the KV was there"
        answer = request.whole()
        answer.must_equal(want)
        assert answer.attempts == 1 and answer.report["kv"]["exposed_ms"] > 0, answer.report
        print(f"first token after {answer.report['timeline']['first_token_ms']:.0f} ms, second after {answer.report['timeline']['second_token_ms']:.0f} ms, {answer.report['kv']['sent_bytes']} bytes")


def check_a_cancel_during_a_slow_pull_frees_everything_and_the_link_is_restored():
    with Gateway(SPLIT) as gateway:
        lay(gateway, **SLOW)
        for number in range(300, 303):
            request = gateway.ask(body(number, words=400))
            eventually("the first token", lambda: request.has(1))
            eventually("the pull", lambda: gateway.workers["decode-0"]["imports"] == 1)
            [open_request] = gateway.requests
            gateway.operate(f"/requests/{open_request['id']}/cancel")
            answer = request.result()
            assert answer.error and answer.error["code"] == "request_cancelled" and not answer.done, answer.error
            gateway.must_be_settled()
        # A client that leaves does the same.
        request = gateway.ask(body(310, words=400), leave_after=1)
        request.result()
        gateway.must_be_settled()
        lay(gateway)
        answer = gateway.ask(body(311, words=400)).whole()
        answer.must_equal(reference.answer(body(311, words=400)))
        assert answer.report["kv"] and answer.attempts == 1, answer.report


def check_a_lease_that_nobody_renews_expires_and_the_answer_is_right_all_the_same():
    patient = SPLIT | {"fleet.lease": "1", "fleet.suspect_after": "50", "fleet.lost_after": "60"}
    with Gateway(patient) as gateway:
        lay(gateway, rate=250_000)
        want = reference.answer(body(400))
        request = gateway.ask(body(400))
        eventually("the pull", lambda: gateway.workers["decode-0"]["imports"] == 1 and gateway.workers["prefill-0"]["exports"] == 1 and request.has(1))
        pid = gateway.pid_of("decode-0")
        os.kill(pid, signal.SIGSTOP)
        try:
            def freed():
                worker = gateway.workers["prefill-0"]
                return worker["exports"] == 0 and worker["pages_available"] == worker["pages_total"]
            eventually("the expiry of the lease", freed)
            lay(gateway)
        finally:
            os.kill(pid, signal.SIGCONT)
        answer = request.whole()
        answer.must_equal(want)
        assert gateway.pid_of("decode-0") == pid
        print(f"after the expiry: {answer.attempts} attempts, {answer.report['workers']}")


if __name__ == "__main__":
    service_run(globals())
