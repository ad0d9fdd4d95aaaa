"""Sentences with open places.

`{x}` and `{y}` are something that could be looked for, `{n}` a person, `{d}` a day, `{h}` an hour, `{k}` a number.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from builderbrain.train.goals.skins import skin_phrase
from builderbrain.train.names import PEOPLE

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def filled(sentence: str, rng: random.Random) -> str:
    """The sentence with something in every open place, and nothing in it that a plan would have to escape."""
    made: dict[str, Callable[[random.Random], str]] = {
        "{x}": skin_phrase,
        "{y}": skin_phrase,
        "{n}": lambda rng: rng.choice(PEOPLE),
        "{d}": lambda rng: rng.choice(DAYS),
        "{h}": lambda rng: f"{rng.randint(1, 12)}{rng.choice((':00', ':30', ' am', ' pm'))}",
        "{k}": lambda rng: str(rng.choice((rng.randint(1, 99), rng.randint(100, 99_999)))),
    }
    for place, make in made.items():
        if place in sentence:
            sentence = sentence.replace(place, make(rng))
    return sentence.replace('"', "").replace("\\", "").strip()
