"""What people put around a name: quotes, articles, what kind of thing it is."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

import random


def said_pattern(pattern: str, rng: random.Random) -> str:
    """What is looked for as it is said."""
    quote = rng.choice('""\'`')
    return rng.choice((
        pattern, pattern, pattern, pattern, f"the {pattern}", f"the {pattern}", f"a {pattern}", f"{quote}{pattern}{quote}", f"{quote}{pattern}{quote}",
        f"the word {pattern}", f"the words {pattern}", f"the phrase {quote}{pattern}{quote}", f"the string {quote}{pattern}{quote}", f"the text {pattern}",
        f"our {pattern}", f"any {pattern}", f"the term {pattern}", f"the name {pattern}", f"something called {pattern}",
    ))  # fmt: skip


def said_file(path: str, rng: random.Random) -> str:
    """A file as it is said."""
    quote = rng.choice('""\'`')
    return rng.choice(
        (
            path,
            path,
            path,
            path,
            f"the file {path}",
            f"{quote}{path}{quote}",
            f"the {path} file",
            f"the {path}",
            f"file {path}",
            f"our {path}",
        )
    )


def said_folder(folder: str, rng: random.Random) -> str:
    """A folder as it is said."""
    quote = rng.choice('""\'`')
    return rng.choice((folder, folder, folder, f"the {folder} folder", f"the {folder} directory", f"the folder {folder}", f"the directory {folder}",
                       f"{quote}{folder}{quote}", f"the {folder} dir", f"my {folder} folder", f"folder {folder}"))  # fmt: skip
