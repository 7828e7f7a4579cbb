"""What the model is trained on: the share of each task, and training sequences made of whole conversations.
"""

from __future__ import annotations

import random

from chat import Encoder
from recall import recall
from stories import plain_story, story
from tasks import arithmetic, compare, count, greeting, instruction, outside, trips
from world import Example

OTHER_TASKS = [  # task, share of conversations that are not recall
    (trips, 14), (arithmetic, 36), (compare, 8), (count, 7), (story, 12), (greeting, 7), (outside, 7), (instruction, 30),
]


def other(rng: random.Random) -> Example:
    return rng.choices([t for t, _ in OTHER_TASKS], [w for _, w in OTHER_TASKS])[0](rng)


def row(rng: random.Random, encoder: Encoder, length: int, recall_share: float, crates: tuple[int, int], early: bool) -> tuple[list[int], list[bool]]:
    """One training sequence of exactly `length` + 1 tokens: at most one manifest, so that no two ever contradict each other."""
    ids: list[int] = []
    mask: list[bool] = []

    def put(pair):
        ids.extend(pair[0])
        mask.extend(pair[1])

    def put_other():
        put(encoder.plain(plain_story(rng)) if rng.random() < 0.03 else encoder.chat(other(rng)))

    if rng.random() < recall_share:
        for _ in range(rng.choice([0, 0, 0, 1, 2]) if not early else 0):
            put_other()
        room = length - len(ids)
        # Half of the manifests uniform in size, half log-uniform, so that short ones stay common; and the questions need room as well.
        low, high = crates
        high = max(low, min(high, int(room * 0.6 / 17)))
        n = rng.randint(low, high) if rng.random() < 0.5 else round(low * (high / low) ** rng.random())
        fill = rng.uniform(0.7, 1.0) * room - 17 * n
        put(encoder.chat(recall(rng, n, max(2, int(fill / 30)), early)))
    while len(ids) <= length:
        put_other()
    return ids[: length + 1], mask[: length + 1]
