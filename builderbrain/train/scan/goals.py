"""SCAN as training knows it: commands of a split's training part, drawn as often as they stand there, some of them in skins.

One in fifty of the commands with two clauses is held out, by its hash, to steer the alpha budget; the split's test part is
never looked at.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from builderbrain.domains.scan import DOMAIN, JOINERS, parse_command, plan_of, split_examples
from builderbrain.plan import print_text
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goal import Goal
from builderbrain.train.scan.skins import skin_command
from builderbrain.train.scan.tasks import Task, task_of

INTENTS = ("clause", *JOINERS)
"""Whether a command is a clause alone, or what joins its two."""
ACTIONS = ("do", "then", "follows")
SPAN_SLOTS = ("act", "to")
"""The first clause's verb and direction."""
_HELD_OUT_ONE_IN = 50


def scan_domain(split: str, *, skins: float, task: Task | None = None) -> TrainingDomain:
    """The training part of a split, or of one task in it; a share `skins` of the goals wears a skin.

    Tasks of single clauses have too few commands to hold any out; what is held out of a task are commands in other skins.

    Raises:
        ScanError: there is no such split.
    """
    commands = [example.command for example in split_examples(split).train]
    if task is not None:
        commands = [command for command in commands if task_of(command) == task]
    shown = [command for command in commands if task is not None or not _is_held_out(command)]
    kept = sorted(set(commands) - set(shown))

    def goals(seed: int) -> Iterator[Goal]:
        rng = random.Random(seed)
        while True:
            command = rng.choice(shown)
            dressed = rng.random() < skins
            yield goal_of(skin_command(command, rng), environment="skin") if dressed else goal_of(command)

    def calls(seed: int) -> Iterator[str]:
        return (goal.plan.split("\n")[0].removeprefix("s1=") for goal in goals(seed))

    def held_out(seed: int, count: int) -> list[Goal]:
        rng = random.Random(seed)
        if task is not None:
            return [goal_of(skin_command(rng.choice(commands), rng), environment="skin") for _ in range(count)]
        return [goal_of(command) for command in rng.sample(kept, min(count, len(kept)))]

    return TrainingDomain(
        name=DOMAIN,
        intents=INTENTS,
        actions=ACTIONS,
        span_slots=SPAN_SLOTS,
        token_slots=(),
        choice_slots=(),
        goals=goals,
        calls=calls,
        held_out=held_out,
    )


def goal_of(command: str, *, environment: str = "plain") -> Goal:
    """A command as a goal with its reference plan.

    Raises:
        ScanError: the command cannot be read.
    """
    read = parse_command(command)
    plan = plan_of(read)
    first = read.clauses[0]
    spans: dict[str, tuple[int, int] | None] = {"act": (0, len(first.verb)), "to": None}
    if first.direction is not None:
        start = len(first.verb) + 1 + (0 if first.way is None else len(first.way) + 1)
        spans["to"] = (start, start + len(first.direction))
    return Goal(
        text=command,
        plan=print_text(plan),
        intent="clause" if read.joiner is None else read.joiner,
        actions=tuple(step.skill for step in plan.steps),
        spans=spans,
        pick="none",
        environment=environment,
    )


def _is_held_out(command: str) -> bool:
    joined = parse_command(command).joiner is not None
    return joined and int.from_bytes(hashlib.sha256(command.encode()).digest()[:4], "big") % _HELD_OUT_ONE_IN == 0
