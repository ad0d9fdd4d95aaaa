"""The ablation suite: a skill taken away costs what needs it, and nothing else.

Every pinned skill of a rail is ablated alone, then all of its skills at once. Commands of SCAN are told apart by whether
their reference plan has a node of that type; `next`, which chooses every node, is needed by all. A command counts as right
when greedy decoding gives its reference plan, token by token (`follow`): nothing is decoded, so that all skills are
tried in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from builderbrain.domains.scan import Example, plan_of
from builderbrain.errors import SubjectError
from builderbrain.eval.composition import find_right
from builderbrain.eval.plot import Bar
from builderbrain.eval.statistics import wilson_interval
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.rail.config import NEXT_SKILL
from builderbrain.rail.pair import Pair

ALL = "all skills"


@dataclass(frozen=True, kw_only=True)
class SkillAblation:
    """One skill of one rail: how many of `needed` commands that need it, and of `others`, are right with it and without."""

    skill: str
    split: str
    seed: int | None
    needed: int
    needed_with: int
    needed_without: int
    others: int
    others_with: int
    others_without: int


def ablate_skills(
    pair: Pair, examples: Sequence[Example], grammar: CompiledConstraint, *, split: str, seed: int | None
) -> list[SkillAblation]:
    """Ablate each pinned skill in turn; the rail is left whole.

    Raises:
        SubjectError: there is no rail, or its skills are pinned to nothing.
    """
    rail = pair.rail
    if rail is None or not rail.config.pinned_skills:
        raise SubjectError(
            "expected a rail whose skills are pinned to node types, got none; train one with rail.pinned=true", field="subject"
        )
    commands = [example.command for example in examples]
    whole = find_right(pair, commands, grammar)
    used = [{ALL, NEXT_SKILL, *(step.skill for step in plan_of(example.command).steps)} for example in examples]
    found = []
    alone = {name: frozenset({number}) for number, name in enumerate(rail.config.pinned_skills)}
    for skill, removed in (alone | {ALL: frozenset(range(rail.config.num_skills))}).items():
        rail.ablated_skills = removed
        try:
            without = find_right(pair, commands, grammar)
        finally:
            rail.ablated_skills = frozenset()
        needs = [skill in skills for skills in used]
        found.append(
            SkillAblation(
                skill=skill,
                split=split,
                seed=seed,
                needed=sum(needs),
                needed_with=_count(whole, needs, True),
                needed_without=_count(without, needs, True),
                others=len(needs) - sum(needs),
                others_with=_count(whole, needs, False),
                others_without=_count(without, needs, False),
            )
        )
    return found


def as_json(ablations: Sequence[SkillAblation]) -> dict[str, Any]:
    """The whole report as JSON values."""
    return {"suite": "ablation", "ablations": [asdict(one) for one in ablations]}


def print_report(ablations: Sequence[SkillAblation], console: Console) -> None:
    """Print one line per skill: right commands with and without it, means over splits and seeds, and the worst case of each."""
    runs = len({(one.split, one.seed) for one in ablations})
    table = Table(title=f"ablation: right commands with a skill and without, means of {runs} rails (worst)")
    for heading in ("skill", "need it", "without", "do not need it", "without"):
        table.add_column(heading, justify="left" if heading == "skill" else "right")
    for skill in dict.fromkeys(one.skill for one in ablations):
        mine = [one for one in ablations if one.skill == skill]
        needed = [one for one in mine if one.needed]
        others = [one for one in mine if one.others]
        table.add_row(
            skill,
            _shown([one.needed_with / one.needed for one in needed], worst=min),
            _shown([one.needed_without / one.needed for one in needed], worst=max),
            _shown([one.others_with / one.others for one in others], worst=min),
            _shown([one.others_without / one.others for one in others], worst=min),
        )
    console.print(table)


def bars_of(ablations: Sequence[SkillAblation]) -> list[Bar]:
    """Two bars per skill: what is left without it of the commands that need it, and of the others."""
    bars = []
    for skill in dict.fromkeys(one.skill for one in ablations):
        mine = [one for one in ablations if one.skill == skill]
        for label, right, total in (
            ("need it", sum(one.needed_without for one in mine), sum(one.needed for one in mine)),
            ("others", sum(one.others_without for one in mine), sum(one.others for one in mine)),
        ):
            if total:
                share = right / total
                bars.append(Bar(subject=f"no {skill}: {label}", score=share, goals_interval=wilson_interval(share, total)))
    return bars


def _count(right: Sequence[bool], needs: Sequence[bool], wanted: bool) -> int:
    return sum(one for one, need in zip(right, needs, strict=True) if need is wanted)


def _shown(shares: Sequence[float], *, worst: Any) -> str:
    return "-" if not shares else f"{fmean(shares):.1%} ({worst(shares):.1%})"
