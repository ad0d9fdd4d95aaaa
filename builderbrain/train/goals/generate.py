"""Compose goals of one to four steps, with their plan, intent and slots.

**Skins.** Names are random, and many hold pieces that spell nothing, so that a rail has to copy what stands in
the goal (`skins.py`; see the trial in the model's notes: without skins none of the side networks composed, with them all did).
**Compositions.** No goal asks for a sequence of `LEFT_OUT_SEQUENCES` alone; longer ones may hold it.
"""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

from builderbrain.train.goal import Goal
from builderbrain.train.goals import phrases, statements
from builderbrain.train.goals.conversation import CONVERSATION, say
from builderbrain.train.goals.decorations import said_file, said_folder, said_pattern
from builderbrain.train.goals.labels import LEFT_OUT_SEQUENCES, REPLIES, intent_of
from builderbrain.train.goals.politeness import PREFIXES, TOO, announcement, ending, wrap
from builderbrain.train.goals.skins import skin_folder, skin_path, skin_phrase

_ACTIONS = ("search", "search_under", "read", "list", "open")
_TEMPLATES = {
    name: phrases.templates(getattr(module, name)) for module in (phrases, statements) for name in dir(module) if name.isupper()
}
_JOINERS = (" and ", " and then ", ", then ", " then ", ", and then ", "; ", "; then ", ". Then ", ", and ", ", ", " and after that ", ", after that ", ". After that ",
            " and also ", ", and also ", ". Also ", ", next ", ", and finally ", ". Finally ", ", followed by that ", " plus ", " before you ", ", as well as ", ". ", ". ")  # fmt: skip
_LAST_JOINERS = (", and ", ", and ", " and ", ", then ", ", and then ", " and then ", ", and finally ", ", ")
_SENTENCE_JOINERS = (". ", ". ", ". Then ", "; then ", ". After that ", "; ", ". Also ", ". Next, ", ". When that is done, ", "; after that, ",
                     ". And ", ", after that ", ". Finally, ")  # fmt: skip
_BARE_JOINERS = (
    " and ",
    " and ",
    " and ",
    " and also ",
    ", ",
    ", and ",
    " as well as ",
    " plus ",
    " and then ",
    " and additionally ",
)
"""Between a step and one of the same kind whose verb is left out: "open A and B"."""
_PLAIN = 8
"""How many plain wordings open each table of phrases."""
_SLOTS = ("pattern", "path")
_MARKS = "\ue000"
"""First of the private-use characters that mark ranges while a sentence is put together: a pair per kind of range."""
_CLAUSE, _NAME = 0, 1
_BEGIN, _END = "\ue000", "\ue001"


def generate_goals(seed: int, *, left_out: bool = False) -> Iterator[Goal]:
    """Yield goals for ever; the same seed gives the same goals.

    Args:
        seed: of the generator.
        left_out: only compositions of `LEFT_OUT_SEQUENCES`, for measuring; training never sets this.
    """
    rng = random.Random(seed)
    while True:
        if not left_out and rng.random() < 0.22:
            yield _conversation(rng)
        else:
            yield _task(_sequence(rng, left_out=left_out), rng)


def _conversation(rng: random.Random) -> Goal:
    intent = "refuse" if rng.random() < 0.4 else rng.choice([name for name in CONVERSATION if name != "refuse"])
    text = say(intent, rng)
    if intent in {"refuse", "identify", "capabilities"} and rng.random() < 0.3:
        text = f"{rng.choice(PREFIXES)} {text}"
    plan = f"s1=talk(text={json.dumps(REPLIES[intent])})"
    text = _finish(text, rng)
    spans: dict[str, tuple[int, int] | None] = {"pattern": None, "path": None}
    clauses = ((0, len(text), intent),)
    return Goal(text=text, plan=plan, intent=intent, actions=("talk",), spans=spans, pick="none", clauses=clauses)


def _sequence(rng: random.Random, *, left_out: bool) -> tuple[str, ...]:
    while True:
        actions: list[str] = []
        length = 3 if left_out else rng.choices((1, 2, 3, 4), (5, 4, 4, 3))[0]
        for _ in range(length):
            finding = any(action in {"search", "search_under", "list"} for action in actions)
            actions.append(rng.choices(_ACTIONS, (3, 2, 2.5, 2.5, 5 if finding else 0))[0])
        if left_out == (tuple(actions) in LEFT_OUT_SEQUENCES):
            return tuple(actions)


@dataclass(frozen=True, kw_only=True)
class _Clause:
    """One step in words and what it asks for; `bare` when its verb is left out, `command` when courtesies may precede it."""

    text: str
    kind: str
    bare: bool
    command: bool


def _task(actions: tuple[str, ...], rng: random.Random) -> Goal:
    clauses: list[_Clause] = []
    steps: list[str] = []
    source = ""  # the latest search or list, as (kind, step id)
    pick = "none"
    last = False
    before = ("", "")

    for i, action in enumerate(actions):
        identifier = f"s{i + 1}"
        bare = _bare(before, action, rng)
        form = "" if bare is not None else _form(i == 0, rng)
        wording = ""
        if action == "search" or (action == "search_under" and (bare is not None or rng.random() < 0.5)):
            pattern = skin_phrase(rng)
            arguments = f"pattern={json.dumps(pattern)}"
            wording = _pick("SEARCH", form, rng) if bare is None else f"{bare}{{x}}"
            text = wording.replace("{x}", said_pattern(_mark("pattern", pattern), rng))
            if action == "search_under":
                folder = skin_folder(rng)
                arguments += f",path={json.dumps(folder)}"
                place = rng.choice(("in", "in", "in", "under", "under", "inside", "within", "below", "inside of"))
                where = f"{place} {said_folder(_mark('path', folder), rng)}"
                first = not form and bare is None and rng.random() < 0.12
                text = f"{where}{rng.choice((', ', ' '))}{text}" if first else f"{text} {where}"
            steps.append(f"{identifier}=search({arguments})")
            source = f"SEARCH {identifier}"
        elif action == "search_under":
            pattern, folder = skin_phrase(rng), skin_folder(rng)
            text = _pick("SEARCH_UNDER", form, rng)
            text = text.replace("{x}", said_pattern(_mark("pattern", pattern), rng))
            text = text.replace("{d}", said_folder(_mark("path", folder), rng))
            steps.append(f"{identifier}=search(pattern={json.dumps(pattern)},path={json.dumps(folder)})")
            source = f"SEARCH {identifier}"
        elif action == "read":
            path = skin_path(rng)
            wording = _pick("READ", form, rng) if bare is None else "{f}"
            text = wording.replace("{f}", said_file(_mark("path", path), rng))
            steps.append(f"{identifier}=read(path={json.dumps(path)})")
        elif action == "list":
            if bare is None and rng.random() < 0.25:
                text = _pick("LIST_ROOT", form, rng)
                steps.append(f"{identifier}=list()")
            else:
                folder = skin_folder(rng)
                wording = _pick("LIST", form, rng) if bare is None else "{d}"
                text = wording.replace("{d}", said_folder(_mark("path", folder), rng))
                steps.append(f"{identifier}=list(path={json.dumps(folder)})")
            source = f"LIST {identifier}"
        else:
            kind, found = source.split()
            last = rng.random() < 0.25
            if last:
                text = rng.choice(_TEMPLATES["OPEN_LAST"] + _TEMPLATES[f"OPEN_LAST_{kind}"])
            else:
                text = _pick(f"OPEN_{kind}", "", rng)
            if pick == "none":
                pick = "last" if last else "first"
            steps.append(f"{identifier}=read(path={found}.{'last' if last else 'first'}_path)")
        before = (action, wording)
        kind = action if action != "open" else "open_last" if last else "open_first"
        clauses.append(_Clause(text=text, kind=kind, bare=bare is not None, command=form != "STATEMENTS"))
    return _assemble(clauses, actions, "\n".join(steps), pick, rng)


def _form(first: bool, rng: random.Random) -> str:
    """Which table words a step: "" for commands, QUESTIONS (only the first step asks), STATEMENTS."""
    draw = rng.random()
    if draw < (0.2 if first else 0.08):
        return "STATEMENTS"
    return "QUESTIONS" if first and draw < 0.4 else ""


def _pick(kind: str, form: str, rng: random.Random) -> str:
    """A wording; half of the commands are among the plain ones that open each table, as people's are."""
    table = _TEMPLATES[f"{kind}_{form}" if form else kind]
    return rng.choice(table if form or rng.random() < 0.5 else table[:_PLAIN])


def _bare(before: tuple[str, str], action: str, rng: random.Random) -> str | None:
    """What is left of the verb when a step repeats the kind of the step before, or None when it has to be said again.

    `before` holds that step's kind and wording, which must end with its object: "search for X and for Y", "open A and B".
    """
    kind, wording = before
    if kind != action or not wording.endswith(("{x}", "{f}", "{d}")) or rng.random() > 0.5:
        return None
    return "for " if wording.endswith(" for {x}") and rng.random() < 0.6 else ""


def _mark(slot: str, name: str) -> str:
    """The name between the marks of its slot."""
    code = ord(_MARKS) + 2 * (_NAME + _SLOTS.index(slot))
    return chr(code) + name + chr(code + 1)


def _assemble(clauses: list[_Clause], actions: tuple[str, ...], plan: str, pick: str, rng: random.Random) -> Goal:
    before, request = wrap(clauses[0].text, rng, command=clauses[0].command)
    if len(clauses) > 1 and rng.random() < 0.05:
        before = f"{announcement(len(clauses), rng)} {before}"
    text = f"{before}{_BEGIN}{request}{_END}"
    joiners = _joiners(len(clauses) - 1, rng)
    for joiner, clause in zip(joiners, clauses[1:], strict=True):
        if clause.bare:
            text += (
                joiner if joiner in {", ", " and ", ", and "} else rng.choice(_BARE_JOINERS)
            ) + f"{_BEGIN}{clause.text}{_END}"
            if clause is clauses[-1] and rng.random() < 0.25:
                text += rng.choice(TOO)
            continue
        following = f"{_BEGIN}{clause.text}{_END}"
        if clause.command and rng.random() < 0.08:
            following = f"{rng.choice(('please', 'could you', 'I want you to', 'can you'))} {following}"
        if joiner == ". ":
            following = _capital(following)
        text += joiner.replace(" before you ", " and ").replace(", followed by that ", ", then ") + following
    if rng.random() < 0.2:
        text += ending(rng)
    text = _finish(text, rng)
    plain = ""
    starts: dict[int, int] = {}
    ranges: list[tuple[int, int, str]] = []
    names: list[tuple[int, int, str]] = []
    for character in text:
        kind, closing = divmod(ord(character) - ord(_MARKS), 2)
        if not 0 <= kind < _NAME + len(_SLOTS):
            plain += character
        elif not closing:
            starts[kind] = len(plain)
        elif kind == _CLAUSE:
            ranges.append((starts[kind], len(plain), clauses[len(ranges)].kind))
        else:
            names.append((starts[kind], len(plain), _SLOTS[kind - _NAME]))
    spans = {slot: next(((start, end) for start, end, mine in names if mine == slot), None) for slot in _SLOTS}
    skills = tuple({"search_under": "search", "open": "read"}.get(action, action) for action in actions)
    return Goal(
        text=plain,
        plan=plan,
        intent=intent_of(actions),
        actions=skills,
        spans=spans,
        pick=pick,
        clauses=tuple(ranges),
        names=tuple(names),
        environment="sentences" if any(joiner.startswith(".") for joiner in joiners) else "plain",
    )


def _joiners(count: int, rng: random.Random) -> list[str]:
    """What stands between the steps: a list ("A, B and C"), a list and another sentence, one joiner throughout, or any.

    The other sentence matters for what is left out: "A, B, and C. Then D" begins like the goal of three steps that training
    must not show, so that "and C" after A and B is no sign that something else must have come before it.
    """
    draw = rng.random()
    if count > 2 and draw < 0.5:
        first = rng.choice((1, 2, 2))
        return [*_listed(first, rng), rng.choice(_SENTENCE_JOINERS), *_listed(count - first - 1, rng)]
    if count > 1 and draw < 0.64:
        return _listed(count, rng)
    if draw < 0.78:
        return [rng.choice(_JOINERS)] * count
    return [rng.choice(_JOINERS) for _ in range(count)]


def _listed(count: int, rng: random.Random) -> list[str]:
    """Joiners of a list that ends within the sentence."""
    return [", "] * (count - 1) + [rng.choice(_LAST_JOINERS)] if count else []


def _capital(text: str) -> str:
    at = 1 if text.startswith(_BEGIN) else 0
    return text[:at] + text[at].upper() + text[at + 1 :] if text[at].isascii() else text


def _finish(text: str, rng: random.Random) -> str:
    """Capital and final mark, as people vary them."""
    if rng.random() < 0.4:
        text = _capital(text)
    return text + rng.choice(("", "", "", "", ".", ".", "?", "!"))
