"""Which words of a request ask for what, and where its plan says them again: the token labels of spoken goals.

Clauses are numbered as they are said. Every step belongs to the clause that it was added for, and a value of the plan that its
clause says as well is a name: that of its argument, or of the result that a condition compares. A second value of the same
name in a clause is another one, `zone 2` after `zone`. Numbers are copied digit by digit, and each digit has its name too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from builderbrain.plan import get_domain
from builderbrain.rail.config import TokenSlots
from builderbrain.train.goal import NamedRange

BESIDE = "beside"
"""Option of the slot `clause` for words that say that a clause is to be done beside the one before."""
_DIGITS = 4
"""Digits from this one on have the same name."""
_LITERAL = re.compile(r'\b([a-z_0-9]+)(?:=| (?:>=|<=|==|!=|>|<) )("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?)')


@dataclass(frozen=True, kw_only=True)
class SpokenLabels:
    """Half-open character ranges: `names` in the text, `literals` in the plan, each with its name."""

    names: tuple[NamedRange, ...]
    literals: tuple[NamedRange, ...]


def find_names(
    text: str,
    ranges: Mapping[int, tuple[int, int]],
    plan: str,
    parts: Sequence[int],
    domain: str,
    version: int = 1,
    *,
    marked: Sequence[tuple[int, int]] = (),
) -> SpokenLabels:
    """Pair the values of a plan with the words that say them.

    Args:
        ranges: of the clauses in the text, by number.
        plan: its text form, a step a line.
        parts: per step the number of its clause.
        domain: of the plan; values that are none of its arguments and results have no name.
        version: of the domain.
        marked: ranges of the text that are known to say values; a word elsewhere that is the same by chance is none.
    """
    options = _names_of(domain, version)
    names: list[NamedRange] = []
    literals: list[NamedRange] = []
    known: dict[tuple[int, str, str], str | None] = {}
    used: set[tuple[int, str]] = set()
    taken: list[tuple[int, int]] = []
    start = 0
    for line, part in zip(plan.split("\n"), parts, strict=True):
        for match in _LITERAL.finditer(line):
            argument, value = match[1], match[2]
            quoted = value.startswith('"')
            said = value[1:-1] if quoted else value
            key = (part, argument, said)
            if key not in known:
                place = _place(text, ranges[part], said, marked, taken) if said else None
                name = f"{argument} 2" if quoted and (part, argument) in used else argument
                known[key] = name if place is not None and f"{name} begins" in options else None
                if place is not None and known[key] is not None:
                    used.add((part, argument))
                    taken.append(place)
                    names += _pieces(place, name, quoted)
            if (found := known[key]) is not None:
                first = start + match.start(2) + quoted
                literals += _pieces((first, first + len(said)), found, quoted)
        start += len(line) + 1
    return SpokenLabels(names=tuple(names), literals=tuple(literals))


def token_slots(domain: str, kinds: Sequence[str], compared: Sequence[str] = (), version: int = 1) -> TokenSlots:
    """The token slots of a domain's requests: kinds of clauses, names of values in its plans, numbers of clauses.

    Of results, those that are `compared` with a number have names.
    """
    results = {name for skill in get_domain(domain, version).skills.values() for name in skill.results}
    arguments = {name for skill in get_domain(domain, version).skills.values() for name in skill.arguments}
    unused = results - arguments - set(compared)
    names = [option for option in _names_of(domain, version) if option.split(" ")[0] not in unused]
    return (("clause", (*kinds, BESIDE)), ("name", tuple(names)), ("step", tuple("123456")))


@cache
def _names_of(domain: str, version: int) -> dict[str, None]:
    """Names of values in plans of a domain, in order."""
    options: dict[str, None] = {}
    for skill in get_domain(domain, version).skills.values():
        declared = {name: argument.type for name, argument in skill.arguments.items() if not argument.reference_only}
        for name, kind in {**skill.results, **declared}.items():
            if kind in ("integer", "number"):
                options |= dict.fromkeys((f"{name} begins", *(f"{name} digit {at}" for at in range(2, _DIGITS + 1))))
            elif name in declared:
                options |= dict.fromkeys(option for said in (name, f"{name} 2") for option in (f"{said} begins", said))
    return options


def _pieces(place: tuple[int, int], name: str, quoted: bool) -> Iterator[NamedRange]:
    """The range, or the ranges of its digits."""
    start, end = place
    if quoted:
        yield start, end, name
        return
    for at in range(start, end):
        digit = min(at - start + 1, _DIGITS)
        yield at, at + 1, f"{name} begins" if digit == 1 else f"{name} digit {digit}"


def _place(
    text: str, part: tuple[int, int], said: str, marked: Sequence[tuple[int, int]], taken: Iterable[tuple[int, int]]
) -> tuple[int, int] | None:
    """The first range in a part of the text that says a value and nothing else, and that nothing else has taken.

    A marked range is preferred.
    """
    known = [place for place in marked if part[0] <= place[0] and place[1] <= part[1] and text[slice(*place)] == said]
    found = re.finditer(rf"(?<![\w-]){re.escape(said)}(?!\w)", text[slice(*part)])
    for start, end in (*known, *((part[0] + match.start(), part[0] + match.end()) for match in found)):
        if all(end <= first or start >= last for first, last in taken):
            return start, end
    return None
