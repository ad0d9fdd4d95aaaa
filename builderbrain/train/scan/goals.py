"""SCAN as training knows it: commands of a split's training part, drawn as often as they stand there, some of them in skins.

One in fifty of the commands with two clauses is held out, by its hash, to steer the alpha budget; the split's test part is
never looked at.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from builderbrain.domains.scan import DOMAIN, JOINERS, Command, parse_command, plan_of, split_examples
from builderbrain.domains.scan.reference import JOINING_SKILLS
from builderbrain.errors import ScanError
from builderbrain.plan import Plan, print_text
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
        from_plan=goal_from_plan,
    )


def goal_of(command: str, *, environment: str = "plain") -> Goal:
    """A command as a goal with its reference plan.

    Raises:
        ScanError: the command cannot be read.
    """
    read = parse_command(command)
    return _goal(command, plan_of(read), read, environment)


def goal_from_plan(text: str, plan: Plan) -> Goal:
    """A request of somebody's data with its plan; names are pointed at where the request is the plan's command."""
    try:
        read = parse_command(text)
    except ScanError:  # said in other words: the plan alone tells its labels
        return _goal(text, plan, None, "plain")
    same = print_text(plan_of(read)) == print_text(plan)
    return _goal(text, plan, read if same else None, "plain")


def _goal(text: str, plan: Plan, read: Command | None, environment: str) -> Goal:
    spans: dict[str, tuple[int, int] | None] = dict.fromkeys(SPAN_SLOTS)
    if read is not None:
        first = read.clauses[0]
        spans["act"] = (0, len(first.verb))
        if first.direction is not None:
            start = len(first.verb) + 1 + (0 if first.way is None else len(first.way) + 1)
            spans["to"] = (start, start + len(first.direction))
    joiners = [joiner for joiner, skill in JOINING_SKILLS.items() if skill == plan.steps[-1].skill]
    return Goal(
        text=text,
        plan=print_text(plan),
        intent=joiners[0] if joiners else "clause",
        actions=tuple(step.skill for step in plan.steps),
        spans=spans,
        pick="none",
        environment=environment,
    )


def _is_held_out(command: str) -> bool:
    joined = parse_command(command).joiner is not None
    return joined and int.from_bytes(hashlib.sha256(command.encode()).digest()[:4], "big") % _HELD_OUT_ONE_IN == 0
