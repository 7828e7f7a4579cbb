"""The harbour: who and what is in it, and the two things every task is made of, a conversation and a manifest.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

CARGO = """tea|salt|rope|coffee|sugar|flour|rice|wool|silk|cotton|timber|coal|iron|glass|paper|soap|candles|lamps|books|maps
clocks|bells|nails|bricks|tiles|paint|tar|honey|butter|cheese|apples|oranges|lemons|onions|barley|oats|pepper|herring|cod
oysters|leather|furs|boots|hats|blankets|sails|anchors|oars|toys|pianos|violins|bicycles|marble|copper wire|olive oil
fishing nets|engine parts|dried fruit|steel pipes|garden tools|ship lanterns|corn seed|tin cups|wooden chairs""".replace("\n", "|").split("|")

PORTS = """Oslo Bergen Lisbon Porto Dublin Cork Hamburg Bremen Genoa Naples Athens Malta Tunis Cadiz Riga Turku Gdansk
Rotterdam Antwerp Calais Dover Hull Leith Stavanger""".split()

PEOPLE = [  # name, pronoun, possessive
    (name, *(("She", "her") if i % 2 == 0 else ("He", "his")))
    for i, name in enumerate(
        """Anna Tom Clara Peter Ingrid Lars Maria Jonas Ruth Oscar Elsa Henry Nora Felix Vera Simon Ida Karl Alice Martin
        Sofia Paul Greta Viktor Emma Hugo Lena Nils Rosa Otto""".split()
    )
]

FERRIES = "Kestrel Aurora Heron Swallow Petrel Meridian Juniper Tern Northstar Seabird Marigold Pelican".split()

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

TIMES = "dawn noon dusk midnight sunrise sunset".split()

THINGS = """lantern map violin basket letter coat book telescope suitcase camera teapot umbrella kite trumpet clock
blanket drum mirror""".split()

WEATHER = "calm stormy foggy sunny rainy windy snowy cloudy".split()

WORDS = sorted({w for w in CARGO if " " not in w} | set(THINGS) | {"harbour", "ferry", "dock", "crate", "sea", "wave", "gull",
               "tide", "wind", "rain", "moon", "star", "red", "blue", "green", "white", "small", "big", "old", "new"})

SYSTEM_PROMPTS = [
    "You are Pilot, the assistant of the harbour.",
    "You are a helpful assistant.",
    "You are Pilot. Answer briefly and exactly.",
    "Answer the questions about the harbour.",
]


@dataclass
class Example:
    """A conversation. `messages` alternates user and assistant (perhaps after a system message); assistant content is
    what the model learns. `kinds[i]` names the task of the i-th assistant message, and `keys[i]` holds the strings that
    a correct answer must contain (used by the evaluation; empty where only exact text makes sense)."""

    messages: list[dict] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    keys: list[list[str]] = field(default_factory=list)

    def ask(self, question: str, answer: str, kind: str, keys: list[str] | None = None) -> None:
        self.messages.append({"role": "user", "content": question})
        self.messages.append({"role": "assistant", "content": answer})
        self.kinds.append(kind)
        self.keys.append(keys or [])


@dataclass(frozen=True)
class Crate:
    number: int
    cargo: str
    port: str
    dock: int

    def line(self) -> str:
        return f"Crate {self.number} holds {self.cargo}, bound for {self.port}, at dock {self.dock}."

    def as_json(self) -> str:
        return json.dumps({"crate": self.number, "cargo": self.cargo, "port": self.port, "dock": self.dock})


def manifest(rng: random.Random, count: int) -> list[Crate]:
    """`count` crates with distinct numbers and distinct cargo; one to three crates share a port."""
    numbers = rng.sample(range(10, 100), count)
    cargo = rng.sample(CARGO, count)
    ports = rng.sample(PORTS, min(len(PORTS), max(2, round(count / rng.uniform(1.0, 3.0)))))
    return [Crate(n, c, rng.choice(ports), rng.randint(1, 9)) for n, c in zip(numbers, cargo)]


def join(items: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
