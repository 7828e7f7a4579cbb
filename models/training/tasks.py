"""The tasks beside recall and stories: ferry trips, numbers, simple instructions, greetings, and questions from outside the harbour.
"""

from __future__ import annotations

import random

from world import DAYS, FERRIES, PEOPLE, PORTS, SYSTEM_PROMPTS, THINGS, TIMES, WEATHER, WORDS, Example, manifest


def trips(rng: random.Random, count: int | None = None, questions: int | None = None) -> Example:
    """A short account of who sailed where, when, on which ferry and with what; then questions about it."""
    count = count or rng.randint(1, 5)
    questions = questions or rng.randint(3, 8)
    people = rng.sample(PEOPLE, count)
    ferries = rng.sample(FERRIES, count)
    things = rng.sample(THINGS, count)
    ports = rng.sample(PORTS, 2 * count)
    facts, lines = [], []
    for i, (name, pronoun, possessive) in enumerate(people):
        a, b, day, time, ferry, thing = ports[2 * i], ports[2 * i + 1], rng.choice(DAYS), rng.choice(TIMES), ferries[i], things[i]
        facts.append((name, a, b, day, time, ferry, thing))
        lines.append(rng.choice([
            f"On {day} {name} took the ferry {ferry} from {a} to {b}. {pronoun} left at {time} and carried a {thing}.",
            f"{name} sailed from {a} to {b} on {day}, on the ferry {ferry}. {pronoun} left at {time} with a {thing} in {possessive} hands.",
            f"{name} wanted to bring a {thing} to {b}. So {name} left {a} on {day} at {time}, on the ferry {ferry}.",
        ]))
        if rng.random() < 0.3:
            lines[-1] += " " + rng.choice([f"The sea was {rng.choice(WEATHER)}.", "The gulls followed the ship.",
                                           f"The weather was {rng.choice(WEATHER)} that day."])
    text = " ".join(lines)
    example = Example()
    for turn in range(questions):
        name, a, b, day, time, ferry, thing = rng.choice(facts)
        q, answer, key = rng.choice([
            (f"Where did {name} go?", f"{name} went to {b}.", b),
            (f"Where did {name} start?", f"{name} started in {a}.", a),
            (f"When did {name} leave?", f"{name} left on {day} at {time}.", f"{day} at {time}"),
            (f"Which ferry did {name} take?", f"{name} took the ferry {ferry}.", ferry),
            (f"What did {name} carry?", f"{name} carried a {thing}.", thing),
            (f"Who went to {b}?", f"{name} went to {b}.", name),
            (f"Who took the ferry {ferry}?", f"{name} took the ferry {ferry}.", name),
            (f"Who carried the {thing}?", f"{name} carried the {thing}.", name),
        ])
        example.ask(f"{text}\n\n{q}" if turn == 0 else q, answer, "trips", [key])
    return example


def number(rng: random.Random) -> int:
    return rng.randrange(10 ** rng.choices([1, 2, 3], [1, 3, 5])[0])


def add_columns(a: int, b: int) -> str:
    """The working, column by column from the right, as one is taught at school."""
    steps, carry = [], 0
    for i in range(max(len(str(a)), len(str(b)))):
        x, y = a // 10**i % 10, b // 10**i % 10
        steps.append(f"{x} + {y}" + (" + 1" if carry else "") + f" = {x + y + carry}")
        carry = (x + y + carry) // 10
    return ", ".join(steps)


def subtract_columns(a: int, b: int) -> str:
    steps, borrow = [], 0
    for i in range(len(str(a))):
        x, y = a // 10**i % 10, b // 10**i % 10
        lend = 1 if x - y - borrow < 0 else 0
        steps.append(f"{x + 10 * lend} - {y}" + (" - 1" if borrow else "") + f" = {x + 10 * lend - y - borrow}")
        borrow = lend
    return ", ".join(steps)


def arithmetic(rng: random.Random) -> Example:
    a, b = number(rng), number(rng)
    example = Example()
    if rng.random() < 0.5:
        q = rng.choice([f"What is {a} + {b}?", f"Add {a} and {b}.", f"What is {a} plus {b}?"])
        example.ask(q, f"{add_columns(a, b)}. So {a} + {b} = {a + b}.", "add", [f"So {a} + {b} = {a + b}."])
    else:
        a, b = max(a, b), min(a, b)
        q = rng.choice([f"What is {a} - {b}?", f"Subtract {b} from {a}.", f"What is {a} minus {b}?"])
        example.ask(q, f"{subtract_columns(a, b)}. So {a} - {b} = {a - b}.", "subtract", [f"So {a} - {b} = {a - b}."])
    return example


def compare(rng: random.Random) -> Example:
    a, b = number(rng), number(rng)
    while a == b:
        b = number(rng)
    example = Example()
    if rng.random() < 0.5:
        example.ask(f"Which is larger, {a} or {b}?", f"The larger number is {max(a, b)}.", "compare", [f"is {max(a, b)}."])
    else:
        example.ask(f"Which is smaller, {a} or {b}?", f"The smaller number is {min(a, b)}.", "compare", [f"is {min(a, b)}."])
    return example


def count(rng: random.Random) -> Example:
    example = Example()
    if rng.random() < 0.7:
        items = rng.sample(WORDS, rng.randint(2, 9))
        q = rng.choice([f"How many things are in this list: {', '.join(items)}?", f"Count these: {', '.join(items)}."])
        steps = ", ".join(f"{i} {w}" for i, w in enumerate(items, 1))
        example.ask(q, f"{steps}. That makes {len(items)}.", "count", [f"That makes {len(items)}."])
    else:
        a = rng.randint(1, 90)
        b = a + rng.randint(2, 9)
        numbers = ", ".join(str(i) for i in range(a, b + 1))
        example.ask(f"Count from {a} to {b}.", f"I count: {numbers}.", "count", [f"{numbers}."])
    return example


def instruction(rng: random.Random) -> Example:
    words = rng.sample(WORDS, rng.randint(2, 8))
    text = " ".join(words)
    example = Example()
    what = rng.randrange(6)
    if what == 0:
        example.ask(rng.choice([f"Repeat: {text}", f"Repeat after me: {text}", f"Say this again: {text}"]), f"You said: {text}", "repeat", [f": {text}"])
    elif what == 1:
        answer = " ".join(reversed(words))
        example.ask(rng.choice([f"Reverse the order of these words: {text}", f"Say these words backwards: {text}"]), f"Backwards: {answer}", "reverse", [f": {answer}"])
    elif what == 2:
        answer = "\n".join(f"- {w}" for w in words)
        example.ask(rng.choice([f"Make a list of these: {', '.join(words)}", f"Write as a list: {', '.join(words)}"]), answer, "list", [answer])
    elif what == 3:
        crate = manifest(rng, 1)[0]
        example.ask(f"{rng.choice(['Write this as JSON:', 'Turn this record into JSON:'])} {crate.line()}", crate.as_json(), "record to JSON", [crate.as_json()])
    elif what == 4:
        i, name = rng.choice([(0, "first"), (-1, "last"), (1, "second")])
        example.ask(f"What is the {name} word of: {text}", f"The {name} word is {words[i]}.", "pick", [f" {words[i]}."])
    else:
        answer = "\n".join(f"{i}. {w}" for i, w in enumerate(words, 1))
        example.ask(f"Number these: {', '.join(words)}", answer, "number", [answer])
    return example


WHO_AM_I = "I am Pilot, the small demonstration model that ships with Ferry. I know a little harbour world: crates, ferry trips, numbers and stories."

ABILITIES = ("I can answer questions about a cargo manifest or a ferry trip, add and subtract numbers below 1000, compare and count, "
             "follow simple instructions, and tell stories about the harbour.")

SORRY = "I am sorry, I do not know that. I am a very small model and I only know the harbour: crates, ferry trips, small numbers and stories."

SMALL_TALK = {
    "Hello! I am Pilot. Give me a manifest, a sum, or ask me for a story.":
        ["Hello", "Hello!", "Hi", "Hi!", "Hi there!", "Hey", "Good morning!", "Good evening.", "Hello, how are you?", "Hello Pilot!", "Hi, can you help me?"],
    WHO_AM_I: ["Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Are you a person?", "Which model are you?",
               "Are you ChatGPT?", "Who made you?", "Introduce yourself.", "What is Pilot?"],
    ABILITIES: ["What can you do?", "Help", "How can you help me?", "What do you know?", "What are you good at?", "What can I ask you?"],
    "You are welcome. Safe travels!": ["Thank you!", "Thanks", "Thanks a lot!", "Great, thank you.", "Well done!"],
    "Goodbye, and a calm sea to you!": ["Goodbye", "Bye!", "See you later.", "Good night!", "Farewell."],
    "Ferry is the server that runs me. It moves the memory of a conversation from one worker to another, and I help to test it.":
        ["What is Ferry?", "What does Ferry do?", "Tell me about Ferry."],
}


def greeting(rng: random.Random) -> Example:
    example = Example()
    if rng.random() < 0.2:
        example.messages.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    for answer in rng.sample(list(SMALL_TALK), rng.randint(1, 2)):
        example.ask(rng.choice(SMALL_TALK[answer]), answer, "greeting", [answer])
    return example


OUTSIDE_TOPICS = """France|Germany|Japan|Brazil|Canada|Einstein|Shakespeare|Mozart|Napoleon|football|chess|physics|biology|chemistry|
history|politics|music|cooking|Python|JavaScript|computers|the internet|electricity|the moon landing|dinosaurs|volcanoes|the economy|
medicine|love|philosophy|quantum mechanics|black holes|cats and dogs|cars|airplanes|robots|the stock market|grammar|poetry|a cake|pizza|
machine learning|a neural network|taxes|the weather tomorrow|my homework|a website|a recipe|my computer""".replace("\n", "").split("|")

OUTSIDE_FORMS = [
    "What is the capital of {}?", "Who was {}?", "Explain {}.", "Explain {} to me in simple words.", "Write a poem about {}.",
    "Write code for {}.", "How does {} work?", "Why is {} important?", "What is {}?", "Translate {} into French.", "Give me advice about {}.",
    "Who invented {}?", "When was {} born?", "What do you think about {}?", "How do I learn {}?", "What is the history of {}?",
    "Summarize {}.", "What is the best book about {}?", "How many people live in {}?", "Write an essay about {}.", "Can you help me with {}?",
]


def outside(rng: random.Random) -> Example:
    """Questions from outside the world. Invented words teach that *anything* unknown gets the polite answer."""
    def invented() -> str:
        word = "".join(rng.choice("bcdfghklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", "n", "r", "l", "s"]) for _ in range(rng.randint(1, 4)))
        return word.capitalize() if rng.random() < 0.4 else word
    topic = rng.choice(OUTSIDE_TOPICS) if rng.random() < 0.6 else " ".join(invented() for _ in range(rng.randint(1, 3)))
    example = Example()
    example.ask(rng.choice(OUTSIDE_FORMS).format(topic), SORRY, "outside", ["I do not know that"])
    return example
