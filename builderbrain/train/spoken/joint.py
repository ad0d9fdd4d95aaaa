"""Several domains as one: a request begins with the name of its domain, and the grammar is that of any of them."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from builderbrain.plan import load_grammar
from builderbrain.rail.config import TokenSlots
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goal import Goal

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[a-z][a-z0-9_]*|.', re.DOTALL)


def joint_domain(domains: Sequence[TrainingDomain], name: str) -> TrainingDomain:
    """The domain of all of these, each drawn as often as the others."""
    slots = tuple(dict.fromkeys(slot for domain in domains for slot in domain.span_slots))

    def said(goal: Goal, domain: TrainingDomain) -> Goal:
        moved = goal.shifted(introduction(domain.name))
        spans = {slot: moved.spans.get(slot) for slot in slots}
        return replace(moved, spans=spans, environment=f"{domain.name}, {goal.environment}")

    def goals(seed: int) -> Iterator[Goal]:
        rng, sources = random.Random(seed), [(domain, domain.goals(seed)) for domain in domains]
        while True:
            domain, source = rng.choice(sources)
            yield said(next(source), domain)

    def held_out(seed: int, count: int) -> list[Goal]:
        shares = [domain.held_out(seed, -(-count // len(domains))) for domain in domains]
        return [said(goal, domain) for domain, share in zip(domains, shares, strict=True) for goal in share][:count]

    return TrainingDomain(
        name=name,
        intents=tuple(dict.fromkeys(intent for domain in domains for intent in domain.intents)),
        actions=tuple(dict.fromkeys(action for domain in domains for action in domain.actions)),
        span_slots=slots,
        token_slots=_joined([domain.token_slots for domain in domains]),
        choice_slots=(),
        goals=goals,
        calls=lambda seed: (goal.plan.split("\n")[0].removeprefix("s1=") for goal in goals(seed)),
        held_out=held_out,
        grammar=any_of({domain.name: load_grammar(domain.name) for domain in domains}),
    )


def _joined(slots: Sequence[TokenSlots]) -> TokenSlots:
    """Slots of the same name have the options of all."""
    names = tuple(dict.fromkeys(name for mine in slots for name, _ in mine))
    return tuple(
        (name, tuple(dict.fromkeys(option for mine in slots for option in dict(mine).get(name, ())))) for name in names
    )


def introduction(domain: str) -> str:
    """What a request to a rail of several domains begins with."""
    return f"{domain}: "


def any_of(grammars: dict[str, str]) -> str:
    """A grammar of the texts of any of these; the rules of each get its name before theirs."""
    lines = [f"root ::= {' | '.join(f'{name}_root' for name in grammars)}"]
    for name, grammar in grammars.items():
        lines += [_renamed(line, name) for line in grammar.split("\n") if line and not line.startswith("#")]
    return "\n".join(lines) + "\n"


def _renamed(line: str, name: str) -> str:
    return "".join(f"{name}_{token}" if token[0].isalpha() else token for token in _TOKEN.findall(line))
