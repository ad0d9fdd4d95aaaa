"""The composition suite: commands of SCAN's splits, answered by plans that a fixed interpreter turns into moves.

A command is right when the moves of its plan are those of the published data; how the plan says them is free. Every subject
has the same base, prompt and grammar. Lake and Baroni 2018; Loula, Baroni and Lake 2018.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.domains.scan import DOMAIN, Example, moves_of, plan_of, split_examples
from builderbrain.errors import PlanRejectedError, PlanSyntaxError, ScanError
from builderbrain.eval.greedy import greedy_matches
from builderbrain.eval.models import CUT_OFF
from builderbrain.eval.nearest_text import NearestText
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.plan import Plan, parse_text, print_text
from builderbrain.rail.pair import Pair

_DRAW = 0
"""Seed of the draw of commands: the same ones for every subject and seed."""


class Planner(Protocol):
    """Turns a command into a plan in text form."""

    def plan(self, goal: str) -> str:
        """The plan; may be cut off or wrong."""
        ...


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """A command that was answered wrongly, with the plan and what is wrong with it."""

    command: str
    plan: str
    fault: str


@dataclass(frozen=True, kw_only=True)
class CompositionRun:
    """One subject, split and seed: `right` of `total` commands, and those answered wrongly."""

    subject: str
    split: str
    seed: int | None
    right: int
    total: int
    wrong: tuple[CommandResult, ...]

    @property
    def score(self) -> float:
        """Share of right commands."""
        return self.right / self.total

    def faults(self) -> Counter[str]:
        """How often each fault occurs."""
        return Counter(result.fault for result in self.wrong)


class NearestCommand:
    """The floor: the plan of the most similar command of the split's training part."""

    def __init__(self, split: str) -> None:
        self._commands = sorted({example.command for example in split_examples(split).train})
        self._index = NearestText(self._commands)

    def plan(self, goal: str) -> str:
        """The copied plan."""
        return print_text(plan_of(self._commands[self._index.index(goal)]))


def draw_commands(split: str, count: int) -> tuple[Example, ...]:
    """`count` examples of a split's test part in one fixed shuffled order; all of them for 0 or more than there are."""
    test = sorted(split_examples(split).test, key=lambda example: example.command)
    random.Random(_DRAW).shuffle(test)
    return tuple(test[: count or None])


def run_commands(
    examples: Sequence[Example],
    planner: Planner,
    *,
    subject: str,
    split: str,
    seed: int | None = None,
    known_right: Sequence[bool] | None = None,
    on_command: Callable[[], None] = lambda: None,
) -> CompositionRun:
    """Ask for the plan of every command and judge its moves.

    Args:
        known_right: commands whose greedy plan is known to be the reference (`find_right`); they are not decoded.
    """
    wrong = []
    for place, example in enumerate(examples):
        if known_right is None or not known_right[place]:
            plan = planner.plan(example.command)
            fault = fault_of(example, plan)
            if fault is not None:
                wrong.append(CommandResult(command=example.command, plan=plan, fault=fault))
        on_command()
    return CompositionRun(
        subject=subject, split=split, seed=seed, right=len(examples) - len(wrong), total=len(examples), wrong=tuple(wrong)
    )


def find_right(pair: Pair, examples: Sequence[Example], grammar: CompiledConstraint) -> list[bool]:
    """For each command whether greedy decoding gives its reference plan; see `greedy_matches`."""
    tokenizer = pair.host.tokenizer
    prompts = [plan_prompt(tokenizer, example.command) for example in examples]
    answers = [[*tokenizer.encode(print_text(plan_of(example.command))), tokenizer.eos_token_id] for example in examples]
    return greedy_matches(pair, prompts, answers, grammar)


def fault_of(example: Example, text: str) -> str | None:
    """What is wrong with a plan's text for a command, in a few words; None when its moves are right."""
    if text.endswith(CUT_OFF):
        return "does not end"
    try:
        plan = parse_text(text, domain=DOMAIN)
        moves = moves_of(plan)
    except (PlanSyntaxError, PlanRejectedError, ScanError):
        return "refused"
    if moves == example.moves:
        return None
    return _difference(plan, plan_of(example.command))


def _difference(plan: Plan, reference: Plan) -> str:
    """The first part in which a plan differs from the reference."""
    mine, wanted = ([step for step in one.steps if step.skill == "do"] for one in (plan, reference))
    if len(mine) != len(wanted):
        return "number of clauses"
    if [step.skill for step in plan.steps] != [step.skill for step in reference.steps]:
        return "order of clauses"
    for name, said in (("act", "verb"), ("to", "direction"), ("way", "way"), ("times", "times")):
        if any(one.args.get(name) != other.args.get(name) for one, other in zip(mine, wanted, strict=True)):
            return said
    return "order of clauses"
