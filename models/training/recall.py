"""Recall from a manifest of crates: the main task, because it is what a lossy KV cache damages first. The answer is nowhere in the
weights, only in the cache.
"""

from __future__ import annotations

import random

from tasks import arithmetic, compare, greeting, outside
from world import PORTS, SYSTEM_PROMPTS, Example, join, manifest


def ask_cargo(rng, crates):
    c = rng.choice(crates)
    q = rng.choice([f"What does crate {c.number} hold?", f"What is in crate {c.number}?"])
    return q, f"Crate {c.number} holds {c.cargo}.", "cargo", [f" {c.cargo}."]


def ask_port(rng, crates):
    c = rng.choice(crates)
    q = rng.choice([f"Where is crate {c.number} bound?", f"Where is crate {c.number} going?"])
    return q, f"Crate {c.number} is bound for {c.port}.", "port", [f" {c.port}."]


def ask_dock(rng, crates):
    c = rng.choice(crates)
    q = rng.choice([f"Which dock is crate {c.number} at?", f"At which dock is crate {c.number}?"])
    return q, f"Crate {c.number} is at dock {c.dock}.", "dock", [f"dock {c.dock}."]


def ask_holder(rng, crates):
    c = rng.choice(crates)
    q = rng.choice([f"Which crate holds {c.cargo}?", f"Where is the {c.cargo}?"])
    return q, f"Crate {c.number} holds {c.cargo}.", "holder", [f"Crate {c.number} "]


def ask_record(rng, crates):
    c = rng.choice(crates)
    q = rng.choice([f"Read me the record of crate {c.number}.", f"Tell me about crate {c.number}."])
    return q, c.line(), "record", [c.line()]


def ask_json(rng, crates):
    c = rng.choice(crates)
    q = rng.choice([f"Give me crate {c.number} as JSON.", f"Write the record of crate {c.number} as JSON."])
    return q, c.as_json(), "json", [c.as_json()]


def ask_several(rng, crates):
    """Several look-ups in one answer: the densest training signal for retrieval."""
    chosen = rng.sample(crates, min(len(crates), rng.randint(2, 5)))
    what = rng.randrange(3)
    numbers = join([str(c.number) for c in chosen])
    if what == 0:
        q, parts = f"What do crates {numbers} hold?", [f"crate {c.number} holds {c.cargo}" for c in chosen]
    elif what == 1:
        q, parts = f"Where are crates {numbers} bound?", [f"crate {c.number} is bound for {c.port}" for c in chosen]
    else:
        q, parts = f"Which docks are crates {numbers} at?", [f"crate {c.number} is at dock {c.dock}" for c in chosen]
    text = join(parts)
    return q, text[0].upper() + text[1:] + ".", "several", [p[1:] for p in parts]


def ask_to_port(rng, crates):
    port = rng.choice(crates).port if rng.random() < 0.9 else rng.choice(PORTS)
    numbers = [str(c.number) for c in crates if c.port == port]
    if len(numbers) > 6:  # a list this long is a different task
        return ask_port(rng, crates)
    q = rng.choice([f"Which crates are bound for {port}?", f"Which crates go to {port}?"])
    if not numbers:
        return q, f"No crate is bound for {port}.", "to port", ["No crate"]
    answer = f"Bound for {port}: {', '.join(numbers)}."
    return q, answer, "to port", [answer]


def ask_how_many(rng, crates):
    port = rng.choice(crates).port
    numbers = [str(c.number) for c in crates if c.port == port]
    if len(numbers) > 6:
        return ask_port(rng, crates)
    return (f"How many crates are bound for {port}?", f"Bound for {port}: {', '.join(numbers)}. That makes {len(numbers)}.", "how many",
            [f"That makes {len(numbers)}."])


def ask_missing(rng, crates):
    known = {c.number for c in crates}
    number = rng.choice([n for n in range(10, 100) if n not in known])
    q = rng.choice([f"What does crate {number} hold?", f"Where is crate {number} bound?", f"Which dock is crate {number} at?"])
    return q, f"There is no crate {number} on the manifest.", "missing", [f"no crate {number}"]


def ask_read_back(rng, crates):
    """Copy a stretch of the manifest: what teaches a small model to look back at all."""
    start = rng.randrange(len(crates))
    stretch = crates[start : start + rng.randint(2, 6)]
    return (f"Read back the manifest from crate {stretch[0].number} to crate {stretch[-1].number}.",
            "\n".join(c.line() for c in stretch), "read back", [c.line() for c in stretch])


RECALL_QUESTIONS = [  # question, weight while retrieval is still being learned, weight later
    (ask_cargo, 10, 10), (ask_port, 10, 8), (ask_dock, 10, 8), (ask_holder, 16, 14), (ask_record, 8, 4), (ask_json, 5, 10),
    (ask_several, 20, 10), (ask_to_port, 8, 16), (ask_how_many, 2, 8), (ask_missing, 0, 6), (ask_read_back, 10, 4),
]

INTRODUCTIONS = ["Manifest:", "Here is the manifest:", "This is the cargo list:"]


def recall(rng: random.Random, crates: int, questions: int, early: bool = False, last=None) -> Example:
    """A manifest, then many questions about it. Now and then another task interrupts, as it does in real use.
    `last` fixes the kind of the last question (for the evaluation)."""
    records = manifest(rng, crates)
    listing = rng.choice(INTRODUCTIONS) + "\n" + "\n".join(c.line() for c in records)
    makers = [m for m, _, _ in RECALL_QUESTIONS]
    weights = [(e if early else late) for _, e, late in RECALL_QUESTIONS]
    example = Example()
    if rng.random() < 0.1:
        example.messages.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    shape = rng.random()
    if shape < 0.15 and not early:
        example.ask(listing, "I have read the manifest. What would you like to know?", "acknowledge")
        listing = ""
    elif shape < 0.25:
        if example.messages:
            example.messages[0]["content"] += "\n" + listing
        else:
            example.messages.append({"role": "system", "content": listing})
        listing = ""
    for turn in range(questions):
        final = turn == questions - 1
        if not early and not final and rng.random() < 0.04:
            aside = rng.choice([greeting, arithmetic, outside, compare])(rng)
            question, answer, kind, keys = aside.messages[-2]["content"], aside.messages[-1]["content"], aside.kinds[-1], aside.keys[-1]
        else:
            maker = last if last and final else rng.choices(makers, weights)[0]
            question, answer, kind, keys = maker(rng, records)
        if listing:
            question = listing + "\n\n" + question
            listing = ""
        example.ask(question, answer, kind, keys)
    return example


EVAL_SIZES = [4, 8, 16, 24, 32, 48, 60]

EVAL_QUESTIONS = [ask_cargo, ask_port, ask_dock, ask_holder]


def recall_case(rng: random.Random, crates: int, earlier: int, maker) -> dict:
    """`earlier` answered turns, then one question of the wanted kind, whose answer is the one expected."""
    example = recall(rng, crates, earlier + 1, last=maker)
    return {"task": example.kinds[-1], "crates": crates, "earlier_turns": earlier, "messages": example.messages[:-1],
            "answer": example.messages[-1]["content"], "keys": example.keys[-1]}


def recall_set(total: int, seed: int) -> list[dict]:
    rng = random.Random(f"recall-eval {seed}")
    cases = []
    for i in range(total):
        crates = EVAL_SIZES[i % len(EVAL_SIZES)]
        maker = EVAL_QUESTIONS[i // len(EVAL_SIZES) % len(EVAL_QUESTIONS)]
        cases.append(recall_case(rng, crates, rng.choice([0, 1, 3, 8, 20]), maker))
    return cases
