"""Everything at any time: workers are killed, frozen, cut off, drained and given other roles while clients ask and leave.

    FERRY_CHAOS_SECONDS   how long (default 5)
    FERRY_CHAOS_SEED      which chaos (default 1); what it meets differs from run to run all the same
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time

from fleet import Gateway, eventually, prompt, reference, service_run

SECONDS = float(os.environ.get("FERRY_CHAOS_SECONDS", "5"))
SEED = int(os.environ.get("FERRY_CHAOS_SEED", "1"))
WORKERS = {"prefill-0": "prefill", "decode-0": "decode", "worker-0": "prefill,decode"}
SETTINGS = {
    "fleet.workers": "prefill,decode,prefill+decode", "fleet.suspect_after": "0.6", "fleet.lost_after": "1.5", "fleet.attempts": "100",
    "fleet.wait": "60", "fleet.lease": "1", "engine.threads": "1",
}


def bodies() -> list[dict]:
    rng = random.Random(SEED)
    options = [
        {"temperature": 0}, {"temperature": 0.8, "seed": 1}, {"temperature": 0.8, "seed": 2, "stream": False},
        {"temperature": 0.9, "seed": 3, "presence_penalty": 0.5, "repetition_penalty": 1.1, "logprobs": 2}, {"temperature": 0.8, "seed": 4, "n": 2},
    ]
    return [
        {"prompt": prompt(rng.choice([3, 40, 110, 260, 500]), 5000 + n), "max_tokens": rng.choice([1, 2, 20, 60, 150]), **options[n % len(options)]}
        for n in range(25)
    ]


def check_answers_are_right_whatever_happens():
    pool = bodies()
    wanted = [reference.answer(body) for body in pool]
    with Gateway(SETTINGS) as gateway:
        end = time.monotonic() + SECONDS
        counts = dict.fromkeys(["right", "begun again", "left", "refused"], 0)
        failures: list[BaseException] = []

        def client(seed: int) -> None:
            rng = random.Random(seed)
            try:
                while time.monotonic() < end and not failures:
                    index = rng.randrange(len(pool))
                    if rng.random() < 0.2:
                        gateway.ask(pool[index] | {"stream": True}, leave_after=rng.choice([-1, 1, 5])).result()
                        counts["left"] += 1
                        continue
                    answer = gateway.ask(pool[index]).result()
                    if answer.status == 503 and answer.count == 0:
                        counts["refused"] += 1  # there was no worker just then
                        continue
                    assert answer.status == 200 and answer.done, f"{answer.status} {answer.error} after {answer.count} tokens"
                    answer.must_equal(wanted[index], f"request {index}")
                    counts["right"] += 1
                    counts["begun again"] += answer.attempts > 1
            except BaseException as error:
                failures.append(error)

        clients = [threading.Thread(target=client, args=(1000 * SEED + n,), daemon=True) for n in range(8)]
        for each in clients:
            each.start()
        done = disturb(gateway, random.Random(SEED), end, failures)
        for each in clients:
            each.join(120)
        if failures:
            raise failures[0]
        assert not any(each.is_alive() for each in clients), "a client waits for ever"
        gateway.wait_for(*WORKERS)
        print(f"{counts} while {done}")
        assert counts["right"] > 0


def disturb(gateway: Gateway, rng: random.Random, end: float, failures: list) -> dict[str, int]:
    """Does harm until `end`, then makes everything good again."""
    done: dict[str, int] = {}
    while time.monotonic() < end and not failures:
        name = rng.choice(list(WORKERS))
        act = rng.choices(["kill", "freeze", "pause", "link", "drain", "roles"], [3, 1, 2, 4, 2, 2])[0]
        done[act] = done.get(act, 0) + 1
        pid = gateway.workers.get(name, {}).get("pid")
        try:
            if act == "kill" and pid:
                os.kill(pid, signal.SIGKILL)
            elif act == "freeze" and pid:
                os.kill(pid, signal.SIGSTOP)
            elif act == "pause" and pid:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(rng.random() * 0.3)
                os.kill(pid, signal.SIGCONT)
            elif act == "link":
                gateway.post(f"/fleet/{name}/links", rng.choice([{}, {"rate": 500_000}, {"break_after": rng.randrange(1, 1_000_000)}, {"rate": 3_000_000, "latency_ms": 20}]))
            elif act == "drain":
                gateway.post(f"/fleet/{name}/{rng.choice(['drain', 'undrain', 'undrain'])}")
            elif act == "roles":
                gateway.post(f"/fleet/{name}/roles", {"roles": rng.choice(["prefill", "decode", "prefill,decode"])})
        except ProcessLookupError:
            pass
        time.sleep(rng.random() * 0.25)  # the pace of harm
    for name, roles in WORKERS.items():
        for path, body in [("undrain", {}), ("links", {}), ("roles", {"roles": roles})]:
            eventually(f"{name} {path}", lambda: gateway.post(f"/fleet/{name}/{path}", body)[0] == 200)
    return done


if __name__ == "__main__":
    service_run(globals())
