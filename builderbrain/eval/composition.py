"""The composition suite: commands of SCAN's splits, answered by plans that a fixed interpreter turns into moves.

A command is right when the moves of its plan are those of the published data; how the plan says them is free. Every subject
has the same base, prompt and grammar. Lake and Baroni 2018; Loula, Baroni and Lake 2018.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.domains.scan import DOMAIN, Example, moves_of, plan_of, split_examples
from builderbrain.errors import PlanRejectedError, PlanSyntaxError, ScanError
from builderbrain.eval.models import CUT_OFF, MAX_PLAN_TOKENS
from builderbrain.eval.nearest_text import NearestText
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.plan import Plan, parse_text, print_text
from builderbrain.rail.greedy import decode_with_guesses, follow
from builderbrain.rail.pair import Pair

_DRAW = 0
"""Seed of the draw of commands: the same ones for every subject and seed."""


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

    def plans(self, commands: Sequence[str]) -> list[str]:
        """The copied plans."""
        return [print_text(plan_of(self._commands[self._index.index(command)])) for command in commands]


def draw_commands(split: str, count: int) -> tuple[Example, ...]:
    """`count` examples of a split's test part in one fixed shuffled order; all of them for 0 or more than there are."""
    test = sorted(split_examples(split).test, key=lambda example: example.command)
    random.Random(_DRAW).shuffle(test)
    return tuple(test[: count or None])


def judge_plans(
    examples: Sequence[Example], plans: Sequence[str], *, subject: str, split: str, seed: int | None = None
) -> CompositionRun:
    """Judge the moves of a plan for every command."""
    wrong = []
    for example, plan in zip(examples, plans, strict=True):
        fault = fault_of(example, plan)
        if fault is not None:
            wrong.append(CommandResult(command=example.command, plan=plan, fault=fault))
    return CompositionRun(
        subject=subject, split=split, seed=seed, right=len(examples) - len(wrong), total=len(examples), wrong=tuple(wrong)
    )


def decode_plans(
    pair: Pair, commands: Sequence[str], grammar: CompiledConstraint, *, on_commands: Callable[[int], None] = lambda count: None
) -> list[str]:
    """The greedy plan of every command. Those that are the reference are found in one pass, and not decoded."""
    tokenizer = pair.host.tokenizer
    prompts, answers = _prompts_and_references(pair, commands)
    texts = decode_with_guesses(pair, prompts, answers, grammar, max_tokens=MAX_PLAN_TOKENS, on_rows=on_commands)
    return [tokenizer.decode(list(text.tokens)) + ("" if text.finished else CUT_OFF) for text in texts]


def find_right(pair: Pair, commands: Sequence[str], grammar: CompiledConstraint) -> list[bool]:
    """For each command whether greedy decoding gives its reference plan; nothing is decoded."""
    return [text is not None for text in follow(pair, *_prompts_and_references(pair, commands), grammar)]


def _prompts_and_references(pair: Pair, commands: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
    tokenizer = pair.host.tokenizer
    references = [print_text(plan_of(command)) for command in commands]
    answers = [[*tokenizer.encode(reference), tokenizer.eos_token_id] for reference in references]
    return [plan_prompt(tokenizer, command) for command in commands], answers


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
