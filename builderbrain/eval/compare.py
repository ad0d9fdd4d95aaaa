"""Plans compared by what they say, and read for what they show.

Two plans are equal when their normal forms are: spacing, argument order, spelled-out defaults and needs that a reference
implies make no difference. What `talk` says is compared by class (a greeting is a greeting), because the wording belongs
to the persona; the classes are the six talk references of the plan bench, and any other wording is a class of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from builderbrain.errors import PlanSyntaxError
from builderbrain.eval.bench import TALK_INTENTS, load_bench
from builderbrain.eval.subject import IntentGuess
from builderbrain.plan import READ_ONLY, Plan, Reference, Verdict, check, parse_text, print_text
from builderbrain.plan.model import Step

UNREADABLE = "unreadable"
"""Intent and first action of a text that is no plan."""
UNKNOWN_TALK = "unknown_talk"
"""Intent of a talk plan whose wording is in no class."""

REPO_ASSISTANT = "repo_assistant"
_LEVELS = frozenset({"read_only", "mutating", "meta"})
_THINKING = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
_PICKS = {"first_path": "first", "last_path": "last"}
_INTENTS_OF_SHAPES = {
    ("search",): "search",
    ("search_under",): "search_under",
    ("read",): "read",
    ("list",): "list",
    ("search", "open"): "search_open",
    ("search_under", "open"): "search_under_open",
    ("list", "open"): "list_open",
    ("read", "read"): "read_two",
}


def strip_thinking(text: str) -> str:
    """The text without a leading `<think>...</think>` block."""
    match = _THINKING.match(text)
    return text[match.end() :] if match else text


@cache
def talk_classes() -> Mapping[str, str]:
    """Intent by what is said, from the talk references of the plan bench."""
    classes: dict[str, str] = {}
    for item in load_bench("plan-bench").items:
        if item.intent in TALK_INTENTS:
            classes[str(parse_text(item.plan).steps[0].args["text"])] = item.intent
    return classes


def canonical_plan(text: str, domain: str = REPO_ASSISTANT, version: int | None = None) -> str | None:
    """Text form of a plan's normal form; None when `text` is no plan.

    In the version of `repo_assistant` that is in use, `talk` texts are replaced by their class.
    """
    try:
        plan = parse_text(strip_thinking(text), domain=domain, version=version)
        if (domain, version) != (REPO_ASSISTANT, None):
            return print_text(plan)
        return print_text(Plan(plan.domain, plan.version, tuple(_by_talk_class(step) for step in plan.steps)))
    except PlanSyntaxError:
        return None


def plans_equal(reference: str, text: str, domain: str = REPO_ASSISTANT, version: int | None = None) -> bool:
    """Whether `text` is a plan that says what `reference` says."""
    canonical = canonical_plan(text, domain, version)
    return canonical is not None and canonical == canonical_plan(reference, domain, version)


def verdict_of(text: str, domain: str = REPO_ASSISTANT, version: int | None = None) -> Verdict | None:
    """What the checker says of a text, with every level granted but in `repo_assistant` as it is in use; None for no plan."""
    granted = READ_ONLY if (domain, version) == (REPO_ASSISTANT, None) else _LEVELS
    try:
        return check(parse_text(strip_thinking(text), domain=domain, version=version), granted=granted)
    except PlanSyntaxError:
        return None


def is_accepted(text: str, domain: str = REPO_ASSISTANT, version: int | None = None) -> bool:
    """Whether `text` is a plan that the checker accepts."""
    verdict = verdict_of(text, domain, version)
    return verdict is not None and verdict.accepted


def guess_of_plan(text: str) -> IntentGuess:
    """Read intent, first action and slots off a plan, for subjects without policy heads and for references."""
    try:
        steps = parse_text(strip_thinking(text)).steps
    except PlanSyntaxError:
        return IntentGuess(intent=UNREADABLE, first_action=UNREADABLE, pattern=None, path=None, pick=None)
    return IntentGuess(
        intent=_intent(steps),
        first_action=steps[0].skill,
        pattern=next((value for step in steps if (value := _literal(step, "pattern")) is not None), None),
        path=next((value for step in steps if (value := _literal(step, "path")) is not None), None),
        pick=next((value for step in steps if (value := _pick(step)) is not None), None),
    )


def _by_talk_class(step: Step) -> Step:
    said = step.args.get("text")
    if step.skill != "talk" or not isinstance(said, str) or said not in talk_classes():
        return step
    return Step(step.id, step.skill, {**step.args, "text": f"<{talk_classes()[said]}>"}, step.needs, step.condition)


def _intent(steps: tuple[Step, ...]) -> str:
    if len(steps) == 1 and steps[0].skill == "talk":
        return talk_classes().get(str(steps[0].args.get("text")), UNKNOWN_TALK)
    shape = tuple(_action(step) for step in steps)
    if len(shape) == 2 and all(action.startswith("search") for action in shape):
        return "search_two"
    return _INTENTS_OF_SHAPES.get(shape, "composite")


def _action(step: Step) -> str:
    if step.skill == "search" and _literal(step, "path") is not None:
        return "search_under"
    if step.skill == "read" and _pick(step) is not None:
        return "open"
    return step.skill


def _literal(step: Step, argument: str) -> str | None:
    value = step.args.get(argument)
    return value if isinstance(value, str) else None


def _pick(step: Step) -> str | None:
    value = step.args.get("path")
    return _PICKS.get(value.result) if isinstance(value, Reference) else None
