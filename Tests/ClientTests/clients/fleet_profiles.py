"""How KV travels between workers: what requests may ask for, what arrives, and what the answer says of it."""

from __future__ import annotations

from fleet import Gateway, prompt, reference, service_run

FINE = "had/mm(k255,v255)/pack"
# Every prompt is handed over, however short.
SETTINGS = {"fleet.local_tokens": "0", "kv.allowed": f"kivi-2 {FINE}"}


def ask(gateway: Gateway, number: int, profile: str | None):
    # A salt for each: what one left in a prefix cache would not travel for the other.
    body = {"prompt": prompt(300, number), "max_tokens": 24, "cache_salt": str(profile)}
    return gateway.ask(body, headers={"x-ferry-kv-profile": profile} if profile else None), reference.answer(body)


def check_profiles_are_chosen_by_request_and_told():
    with Gateway(SETTINGS) as gateway:
        # Raw bytes count whole pages, of which the last is partly empty: up to a tenth more than the tokens have.
        for profile, used, least, most in [
            (None, "lossless", 1.3, 2), ("default", "lossless", 1.3, 2), ("raw", "raw", 0.99, 1), ("lossless", "lossless", 1.3, 2),
            ("kivi-2", "kivi-2", 4.8, 6), (FINE, FINE, 1.8, 2.2),
        ]:
            request, want = ask(gateway, 1, profile)
            answer = request.whole()
            kv = answer.report["kv"]
            assert kv["profile"] == used, f"{profile}: {kv}"
            ratio = kv["raw_bytes"] / kv["sent_bytes"]
            assert least < ratio < most, f"{profile}: {ratio}"
            assert answer.count == 24
            if used in ("raw", "lossless"):
                answer.must_equal(want, used)
            print(f"{profile}: {ratio:.2f}")


def check_what_is_not_allowed_is_refused_by_name():
    with Gateway(SETTINGS) as gateway:
        for profile in ["cachegen-1", "none/none/rans", ""]:
            answer = ask(gateway, 2, profile or " ")[0].result()
            assert answer.status == 400, f"{profile}: {answer.status}"
            assert "x-ferry-kv-profile" in str(answer.error), f"{profile}: {answer.error}"


if __name__ == "__main__":
    service_run(globals())
