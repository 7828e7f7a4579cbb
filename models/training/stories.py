"""Stories from the harbour, put together from sentences.
"""

from __future__ import annotations

import random

from world import CARGO, FERRIES, PEOPLE, PORTS, THINGS, TIMES, Example

SUBJECTS = ["ferry", "lighthouse", "captain", "gull", "cat", "whale", "sailor", "lantern", "bell", "fisherman", "dolphin", "small boat"]

SETTINGS = {
    "storm": ["Black clouds came over the water and the waves grew as tall as houses.", "The wind howled and the rain fell like nails."],
    "fog": ["A thick grey fog lay on the water and nobody could see the end of the dock.", "The fog was so white that the sea and the sky were one."],
    "snow": ["Snow fell on the ropes and the crates, and the harbour became quiet.", "The first snow of the year covered every deck."],
    "calm night": ["The sea was as flat as a mirror and the stars looked at themselves in it.", "It was a calm night and the moon made a silver road on the water."],
    "busy morning": ["Everyone was shouting, loading and counting, for it was market day.", "It was a busy morning and six ships waited at the docks."],
    "flood": ["The water rose over the dock and crates began to float away.", "After days of rain the tide came higher than ever before."],
}

TROUBLE = {
    "storm": ["A rope broke and a crate of {cargo} slid across the deck.", "A great wave hit the {ferry} and the engine stopped."],
    "fog": ["The {ferry} was late, and no one could hear its horn.", "A small boat had lost its way between the rocks."],
    "snow": ["The engine of the {ferry} was frozen and would not turn.", "The path to the lighthouse had vanished under the snow."],
    "calm night": ["But far away a tiny light was blinking: someone needed help.", "Then a strange song came from under the water."],
    "busy morning": ["But crate {number}, full of {cargo}, was missing.", "But the {ferry} could not leave, for its bell had been lost."],
    "flood": ["Crate {number}, full of {cargo}, drifted out to sea.", "The {ferry} tore its rope and began to drift."],
}

DEEDS = [
    "{name} did not wait. {pronoun} took a lantern, climbed down to the water and called out three times.",
    "{name} thought for a moment, then tied two long ropes together and threw them as far as {pronoun_low} could.",
    "\"We can do this together,\" said {name}, and soon ten people stood in a row and pulled.",
    "{name} ran to the old bell and rang it until {possessive} arms were tired.",
    "{name} jumped into a rowing boat, and the {subject} showed the way.",
]

HELP = [
    "At first nothing happened. Then the {subject} appeared, and with it came new courage.",
    "An old sailor from {port} came to help, and he knew exactly what to do.",
    "The {subject} moved slowly at first, then faster, and everybody cheered.",
    "A friend from {port} held the lamp high, so that the way was clear.",
]

ENDS = [
    "Before the sun came up, everything was safe again.",
    "When it was over, they all drank hot tea on the dock and laughed.",
    "By evening the {ferry} lay safely at dock {dock}, and every crate was in its place.",
    "In the end nothing was lost except one hat.",
]

LESSONS = [
    "Since that day, the people of {home} say that no one is small who helps.",
    "And {name} learned that a calm voice is stronger than the wind.",
    "And if you visit {home} today, you can still hear them tell it.",
    "From then on, the {subject} had a friend in {home}.",
    "{name} never forgot that day.",
]


def story_text(rng: random.Random, subject: str, setting: str) -> str:
    name, pronoun, possessive = rng.choice(PEOPLE)
    home, port = rng.sample(PORTS, 2)
    fill = dict(name=name, pronoun=pronoun, pronoun_low=pronoun.lower(), possessive=possessive, home=home, port=port, subject=subject,
                ferry=rng.choice(FERRIES), cargo=rng.choice(CARGO), number=rng.randint(10, 99), dock=rng.randint(1, 9), setting=setting,
                thing=rng.choice(THINGS), time=rng.choice(TIMES))
    article = "an" if subject[0] in "aeiou" else "a"
    start = rng.choice([
        f"Once there was {article} {subject} in the harbour of {{home}}.",
        f"Long ago, in the harbour of {{home}}, there lived {article} {subject} that everybody knew.",
        f"In {{home}} people still talk about the {subject} and the {setting}.",
        f"This is the story of {article} {subject} in the {setting}.",
    ])
    who = rng.choice([
        "Every day at {time}, {name} came to the dock with a {thing} and said hello.",
        "{name} worked there and carried a {thing} everywhere.",
        "{name} was the youngest sailor on the {ferry}, and always had a {thing} close by.",
    ])
    parts = [start, who, rng.choice(["One day everything changed.", "Then came a day to remember.", "One {time}, it began."]),
             rng.choice(SETTINGS[setting]), rng.choice(TROUBLE[setting])]
    parts += rng.sample(DEEDS, rng.randint(1, 2)) if rng.random() < 0.8 else []
    parts += [rng.choice(HELP)] if rng.random() < 0.8 else []
    parts += [rng.choice(ENDS)]
    parts += [rng.choice(LESSONS)] if rng.random() < 0.8 else []
    return " ".join(parts).format(**fill)


def story(rng: random.Random) -> Example:
    subject, setting = rng.choice(SUBJECTS), rng.choice(list(SETTINGS))
    article = "an" if subject[0] in "aeiou" else "a"
    question, keys = rng.choice([
        (f"Tell me a story about {article} {subject} in a {setting}.", [subject]),
        (f"Tell me a story about {article} {subject}.", [subject]),
        (f"Write a short story about {article} {subject} and a {setting}.", [subject]),
        (f"Can you tell me a story about a {setting}?", []),
        ("Tell me a story.", []), ("Please tell me a short story.", []),
    ])
    example = Example()
    example.ask(question, story_text(rng, subject, setting), "story", keys)
    return example


def plain_story(rng: random.Random) -> str:
    """A story without a conversation around it, so that raw completion prompts work too."""
    return story_text(rng, rng.choice(SUBJECTS), rng.choice(list(SETTINGS)))
