"""Paths of what a repository holds, each with whether it is a folder."""

from __future__ import annotations

import random

from builderbrain.train.goals.skins import made_up_word, skin_folder, skin_path
from builderbrain.train.names import random_identifier, random_word

Place = tuple[str, bool]


def folder(rng: random.Random) -> Place:
    """A folder."""
    return skin_folder(rng), True


def _file(rng: random.Random, name: str, *endings: str) -> Place:
    """A file of a kind; `{w}` stands for a word."""
    word = rng.choice((random_word, made_up_word, random_identifier))(rng).lower()
    folder = f"{skin_folder(rng)}/" if rng.random() < 0.6 else ""
    return f"{folder}{name.replace('{w}', word)}.{rng.choice(endings)}", False


def any_file(rng: random.Random) -> Place:
    """A file of any kind."""
    return skin_path(rng), False


def tests(rng: random.Random) -> Place:
    """A folder or file of tests."""
    return folder(rng) if rng.random() < 0.6 else _file(rng, rng.choice(("test_{w}", "test_{w}", "{w}_test")), "py")


def texts(rng: random.Random) -> Place:
    """A folder or file of texts."""
    return folder(rng) if rng.random() < 0.65 else _file(rng, "{w}", "md")


def code(rng: random.Random) -> Place:
    """A folder or file of code."""
    return folder(rng) if rng.random() < 0.6 else _file(rng, "{w}", "py", "pyi")


def diff(rng: random.Random) -> Place:
    """A file that holds a patch."""
    return _file(rng, "{w}", "patch", "diff", "patch", "diff", "txt")
