"""Missing arguments: the default, then what the plan or what is known offers, then what a model writes under the grammar.

Arguments of steps with effects are not guessed. They are completed only where one value is possible: a result that the schema
demands (`reference_only`) and that one step of the plan alone gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.domain import Argument, Skill
from builderbrain.plan.faults import shown
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.repair.draft import Change, Changes, Draft
from builderbrain.plan.text_form import parse_text, print_text

_TELLING_TYPES = ("path", "text")
"""Types that say what a value is good for. A string or a number of a result could mean anything."""


@dataclass(frozen=True, kw_only=True)
class KnownValue:
    """A value from before the plan, such as the first path of the last search: the result's name and type, and whose it is."""

    name: str
    type: str
    value: str
    source: str


@dataclass(frozen=True, kw_only=True)
class ArgumentRequest:
    """One argument to be written: for which goal, in which step, and what stands before it.

    Args:
        before: the steps before it in the text form; empty when they have no text form.
        number: position of the step, from 1.
    """

    goal: str
    domain: str
    version: int
    skill: str
    argument: str
    number: int
    before: str


WriteArgument = Callable[[ArgumentRequest], str | None]
"""Writes the value of an argument in the text form, under the grammar of its type (`argument_grammar`); None when it cannot."""


def completions(draft: Draft, known: Sequence[KnownValue], write: WriteArgument | None, goal: str) -> Changes:
    """Ways to complete each argument that is required and missing, or null."""
    for place, step in enumerate(draft.plan.steps):
        skill = draft.domain.skills.get(step.skill)
        if skill is None:
            continue
        for name, declared in skill.arguments.items():
            if name in step.args and step.args[name] is None and not declared.required:
                told = "is left out" if declared.default is None else f"takes its default, {shown(declared.default)}"
                args = {other: value for other, value in step.args.items() if other != name}
                said = f"{name} of {step.skill} was null and {told}"
                yield _change(draft, place, Step(step.id, step.skill, args, step.needs, step.condition), said)
            elif declared.required and step.args.get(name) is None:
                yield from _required(draft, place, skill, name, declared, known, write, goal)


def _required(
    draft: Draft,
    place: int,
    skill: Skill,
    name: str,
    declared: Argument,
    known: Sequence[KnownValue],
    write: WriteArgument | None,
    goal: str,
) -> Changes:
    step = draft.plan.steps[place]
    acts = skill.safety != "read_only"
    offered = _offered(draft, place, skill, name, declared)
    if acts and not (declared.reference_only and len(offered) == 1):
        return
    for reference in offered:
        source = next(other for other in draft.plan.steps if other.id == reference.step)
        said = f"{name} of {step.skill} takes the {reference.result} of {source.id} ({source.skill})"
        yield _change(draft, place, _given(step, name, reference), said)
    if acts or declared.reference_only:
        return
    for value in reversed(known):
        if value.type == declared.type and _rank(name, value.name, declared) is not None:
            said = f"{name} of {step.skill} takes the {value.name} of {value.source}, {shown(value.value)}"
            yield _change(draft, place, _given(step, name, value.value), said)
    written = None if write is None else write(_request(draft, place, name, goal))
    if written is not None:
        value_written = _parsed(draft, step, name, written)
        if value_written is not None:
            said = f"{name} of {step.skill} was written by the model, {shown(value_written)}"
            yield _change(draft, place, _given(step, name, value_written), said)


def _offered(draft: Draft, place: int, skill: Skill, name: str, declared: Argument) -> list[Reference]:
    """Results of earlier steps that may stand there, the best first: by name, then the last."""
    legal = draft.domain.data_edges[skill.name]
    found: list[tuple[int, int, Reference]] = []
    for at, step in enumerate(draft.plan.steps[:place]):
        if step.skill not in legal:
            continue
        for result, kind in draft.domain.skills[step.skill].results.items():
            rank = _rank(name, result, declared)
            if kind == declared.type and rank is not None:
                found.append((rank, -at, Reference(step.id, result)))
    return [reference for _, _, reference in sorted(found, key=lambda one: one[:2])]


def _rank(argument: str, result: str, declared: Argument) -> int | None:
    """How well a result's name fits an argument's, 0 is best; None when nothing says that it does."""
    if result == argument:
        return 0
    if result == f"first_{argument}":
        return 1
    telling = declared.reference_only or declared.type in _TELLING_TYPES or declared.type.startswith("list of ")
    return 2 if telling else None


def _given(step: Step, name: str, value: object) -> Step:
    return Step(step.id, step.skill, {**step.args, name: value}, step.needs, step.condition)


def _change(draft: Draft, place: int, step: Step, said: str) -> Change:
    return Change(stage="arguments", step=step.id, said=said, draft=draft.with_step(place, step))


def _request(draft: Draft, place: int, name: str, goal: str) -> ArgumentRequest:
    plan = draft.plan
    try:
        before = print_text(type(plan)(plan.domain, plan.version, plan.steps[:place])) if place else ""
    except PlanSyntaxError:
        before = ""
    return ArgumentRequest(
        goal=goal,
        domain=plan.domain,
        version=plan.version,
        skill=plan.steps[place].skill,
        argument=name,
        number=place + 1,
        before=before,
    )


def _parsed(draft: Draft, step: Step, name: str, written: str) -> object | None:
    """A value from its text form; None when it is none, or more than one value."""
    try:
        read = parse_text(f"s1={step.skill}({name}={written})", domain=draft.plan.domain, version=draft.plan.version)
    except PlanSyntaxError:
        return None
    if len(read.steps) != 1 or read.steps[0].condition is not None or set(read.steps[0].args) - {name}:
        return None
    return read.steps[0].args.get(name)
