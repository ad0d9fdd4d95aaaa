"""Generated English in which names recur: text for the bundled base, and base text that a rail must leave alone.

Two things are wanted of it. Names that recur (also inside quotes and calls) teach the base to copy unseen names, and
the little dictionary teaches which verbs mean nearly the same. It holds no goal and no plan: nobody asks for anything,
and no skill is called, so what the rail adds on top of the base stays measurable.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

from builderbrain.train.names import PEOPLE, random_folder, random_identifier, random_path, random_phrase

DICTIONARY: dict[str, tuple[str, ...]] = {
    "search": (
        "look for",
        "find",
        "seek",
        "hunt for",
        "hunt down",
        "grep",
        "scan for",
        "look up",
        "track down",
        "locate",
        "query for",
        "dig up",
    ),
    "read": (
        "open",
        "show",
        "view",
        "display",
        "print",
        "look at",
        "look into",
        "see the contents of",
        "bring up",
        "pull up",
        "load",
        "cat",
    ),
    "list": ("enumerate", "name the files in", "show what is in", "index", "browse", "see what lies in", "tell the entries of"),
    "greet": ("say hello", "say hi", "wish a good morning", "welcome", "say hey"),
    "leave": ("say goodbye", "say bye", "part", "sign off", "wish a good night"),
    "thank": ("be grateful", "say thanks", "say cheers", "appreciate"),
    "delete": ("remove", "erase", "wipe", "drop", "destroy", "throw away"),
    "change": ("edit", "modify", "alter", "rewrite", "update", "patch"),
    "run": ("execute", "start", "launch", "invoke"),
    "first": ("top", "earliest", "number one", "leading"),
    "last": ("final", "bottom", "latest"),
    "folder": ("directory", "dir"),
    "repository": ("repo", "project", "code base", "tree", "workspace"),
    "match": ("hit", "result", "occurrence", "place found"),
    "file": ("document", "source file", "text"),
}
_SEEN = ("searched", "looked for", "found", "hunted for", "tracked down", "located")
_OPENED = ("opened", "read", "viewed", "looked at", "displayed", "brought up", "showed")


def _story(rng: random.Random) -> str:
    who, other = rng.sample(PEOPLE, 2)
    path, folder, phrase = random_path(rng), random_folder(rng), random_phrase(rng)
    lines = [
        f"{who} {rng.choice(_SEEN)} the {phrase} and later {rng.choice(_OPENED)} {path}.",
        f'In {folder} there was nothing about "{phrase}", but {path} had it twice.',
        f"{other} asked why {path} was not in {folder}. {who} did not know.",
        f"The words {phrase} stand on line {rng.randrange(1, 400)} of {path}, wrote {who} to {other}.",
        f"Yesterday {other} moved {path} to {folder}/{path.split('/')[-1]} and kept the {phrase}.",
        f'"{phrase}" is what {who} calls it; {other} says {random_phrase(rng)} instead.',
        f"Both the {phrase} and {path} belong to {who}. {other} owns {folder}.",
    ]
    rng.shuffle(lines)
    return " ".join(lines[: rng.randint(4, 7)])


def _dictionary_page(rng: random.Random) -> str:
    out = []
    for word in rng.sample(sorted(DICTIONARY), k=7):
        same = DICTIONARY[word]
        first, second = rng.sample(same, 2)
        out.append(
            rng.choice(
                (
                    f"To {first} is to {second} or to {word}."
                    if word not in {"first", "last", "folder", "repository", "match", "file"}
                    else "",
                    f"{first}: {word}; also {second}.",
                    f"The words {first}, {second} and {word} mean nearly the same.",
                    f'Some people write "{first}" where others write "{word}".',
                )
            )
        )
    return " ".join(line for line in out if line)


def _record(rng: random.Random) -> str:
    record: dict[str, object] = {
        rng.choice(("name", "title", "key")): random_phrase(rng),
        rng.choice(("file", "path", "source")): random_path(rng),
        rng.choice(("owner", "author", "by")): rng.choice(PEOPLE),
        rng.choice(("count", "size", "line")): rng.randrange(1000),
    }
    items = list(record.items())
    said = " ".join(f"The {key} is {value}." for key, value in items)
    written = rng.choice(
        (json.dumps(record), "\n".join(f"{k} = {json.dumps(v)}" for k, v in items), "\n".join(f"{k}: {v}" for k, v in items))
    )
    rng.shuffle(items)
    again = " ".join(f"{value} is the {key}." for key, value in items)
    return rng.choice((f"{said}\n{written}\n{again}", f"{written}\n{said}", f"{written}\n{again}\n{written}"))


def _repetition(rng: random.Random) -> str:
    make: Callable[[random.Random], str] = rng.choice((random_path, random_identifier, random_phrase, random_folder))
    names = [make(rng) for _ in range(rng.randint(3, 6))]
    forms: tuple[Callable[[str], str], ...] = (
        str,
        lambda n: f'"{n}"',
        lambda n: f"'{n}'",
        lambda n: f'"{n}",',
        lambda n: f"({n})",
        lambda n: f"- {n}",
    )
    first, second = rng.sample(forms, 2)
    joiner = rng.choice((" ", "\n", ", ", "; ", " and "))
    lists = [joiner.join(first(n) for n in names), joiner.join(second(n) for n in names)]
    if rng.random() < 0.5:
        lists.append(" ".join(f"{i + 1}={second(n)}" for i, n in enumerate(names)))
    return "\n".join(lists)


def _code(rng: random.Random) -> str:
    name, value, path = random_identifier(rng).replace(".", "_").replace("-", "_"), random_phrase(rng), random_path(rng)
    return rng.choice(
        (
            f'{name} = "{value}"\nassert {name} == "{value}"\nprint("{value}", {name})',
            f'with open("{path}") as file:  # {path}\n    {name} = file.read()\n    return {name}',
            f'# The {value} of {path}\n{name}("{value}", path="{path}")\n{name}(text="{value}")',
            f'{{"{name}": "{value}", "path": "{path}"}}\n{name}: {value}\npath: {path}',
        )
    )


_KINDS: tuple[tuple[Callable[[random.Random], str], float], ...] = (
    (_story, 3.0),
    (_dictionary_page, 1.0),
    (_record, 2.0),
    (_repetition, 3.0),
    (_code, 2.0),
)


def synthetic_documents(count: int, *, seed: int) -> Iterator[str]:
    """Yield `count` documents of four paragraphs; the same seed gives the same text."""
    rng = random.Random(seed)
    makers, shares = zip(*_KINDS, strict=True)
    for _ in range(count):
        yield "\n\n".join(make(rng) for make in rng.choices(makers, shares, k=4)) + "\n"
