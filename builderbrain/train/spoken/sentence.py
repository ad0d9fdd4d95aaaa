"""Clauses become what somebody says: joiners between them, courtesies around them, capitals and marks."""

# ruff: noqa: E501 - tables
from __future__ import annotations

import random
import re
from collections.abc import Sequence

from builderbrain.train.goals.politeness import ending, wrap
from builderbrain.train.spoken.clause import Clause
from builderbrain.train.spoken.marks import Part, first_letter, mark_part, part_number

_JOINERS = (" and then ", ", then ", ". Then ", "; then ", " then ", " and ", " and ", ", ", ", and ", ". ", ". After that ",
            " and after that ", "; after that, ", ", after that ", ". Next, ", ", next ", "; next ", ", and finally ", ". Finally, ",
            ". When that is done, ", "; ", ". Afterwards ", " and afterwards ", ", and then ", ". And then ", ". Also, ")  # fmt: skip
_LISTED = (", and ", " and ", ", then ", ", and then ", ", and finally ", " and then ")
_PARALLEL = ("; meanwhile ", ". Meanwhile, ", ", and meanwhile ", " and at the same time ", "; at the same time ", ". At the same time ",
             ", and in the meantime ", ". In the meantime, ", ". While you do that, ", ", while you are at it ", " and in parallel ",
             "; in parallel, ", " and meanwhile ", ". In parallel, ", ", at the same time ")  # fmt: skip
_TOLD = ("let {who} ", "have {who} ", "make {who} ", "{who} should ", "{who} must ", "I want {who} to ", "I need {who} to ", "{who} is to ", "tell {who} to ", "get {who} to ",
         "it is time for {who} to ", "{who} has to ", "{who} can ", "could {who} ", "can {who} ")  # fmt: skip
_ARTICLE = re.compile(r"\b(?:the|a) ")
_KEPT = re.compile("""([\ue000-\uf8ff][^\ue000-\uf8ff]*[\ue000-\uf8ff]|"[^"]*")""")
"""Values between their marks, and what is quoted. Single quotes do not count: `I'd` has one."""
_BETWEEN = ("please ", "could you ", "I want you to ", "can you ", "kindly ", "you should ", "you can ")


def put_together(clauses: Sequence[Clause], rng: random.Random, subjects: Sequence[str]) -> str:
    """The text of a request of at least one clause, with its marks; `subjects` are who may be said to do it.

    Parts of the text have the numbers of `Part`.
    """
    first = clauses[0]
    if first.command and rng.random() < 0.12:
        text = rng.choice(_TOLD).replace("{who}", rng.choice(subjects)) + mark_part(first.text, part_number(0, Part.CLAUSE))
    else:
        before, request = wrap(first.text, rng, command=first.command)
        text = before + mark_part(request, part_number(0, Part.CLAUSE))
    if len(clauses) > 1 and rng.random() < 0.1:
        text = f"first {text}" if rng.random() < 0.5 else f"{text} first"
    listed = rng.random() < 0.35
    one = rng.choice(_JOINERS) if rng.random() < 0.3 else None
    for at, clause in enumerate(clauses[1:], 2):
        if clause.parallel:
            joiner = mark_part(rng.choice(_PARALLEL), part_number(at - 1, Part.BESIDE))
        elif listed:
            joiner = rng.choice(_LISTED) if at == len(clauses) else ", "
        else:
            joiner = one or rng.choice(_JOINERS)
        following = clause.text
        if clause.command and rng.random() < 0.07:
            following = rng.choice(_BETWEEN) + following
        text += joiner + mark_part(capital(following) if joiner == ". " else following, part_number(at - 1, Part.CLAUSE))
    if rng.random() < 0.15:
        text += ending(rng)
    if rng.random() < 0.12:
        text = _telegraphic(text, rng)
    if rng.random() < 0.4:
        text = capital(text)
    return text + rng.choice(("", "", "", ".", ".", ".", "!", "?" if len(clauses) == 1 else "."))


def _telegraphic(text: str, rng: random.Random) -> str:
    """The text without some of its articles, as people type in a hurry; what stands in quotes is kept."""
    share = rng.choice((0.5, 1.0))
    parts = _KEPT.split(text)
    for at in range(0, len(parts), 2):
        parts[at] = _ARTICLE.sub(lambda match: "" if rng.random() < share else match[0], parts[at])
    return "".join(parts)


def capital(text: str) -> str:
    """The text with a capital first letter, behind the marks if there are any."""
    at = first_letter(text)
    return text[:at] + text[at : at + 1].upper() + text[at + 1 :]
