"""A request and its plan, as somebody's data has them, with the labels that follow from the plan."""

from __future__ import annotations

from builderbrain.plan import Plan, Reference, Step, print_text
from builderbrain.train.goal import Goal
from builderbrain.train.goals.labels import INTENTS, REPLIES, SPAN_SLOTS, intent_of

_OF_REPLY = {reply: intent for intent, reply in REPLIES.items()}


def goal_from_plan(text: str, plan: Plan) -> Goal:
    """The intent is that of the plan's steps; names are pointed at where they stand in the text word for word."""
    spans: dict[str, tuple[int, int] | None] = {}
    for slot in SPAN_SLOTS:
        said = [step.args[slot] for step in plan.steps if isinstance(step.args.get(slot), str)]
        start = text.find(said[0]) if said and said[0].strip() else -1
        spans[slot] = (start, start + len(said[0])) if start >= 0 else None
    picked = [value.result for step in plan.steps for value in step.args.values() if isinstance(value, Reference)]
    picks = [result.partition("_")[0] for result in picked if result in ("first_path", "last_path")]
    return Goal(
        text=text,
        plan=print_text(plan),
        intent=_intent(plan),
        actions=tuple(step.skill for step in plan.steps),
        spans=spans,
        pick=picks[0] if picks else "none",
    )


def _intent(plan: Plan) -> str:
    if len(plan.steps) == 1 and plan.steps[0].skill == "talk":
        return _OF_REPLY.get(str(plan.steps[0].args.get("text")), INTENTS[-1])
    intent = intent_of(tuple(map(_action, plan.steps)))
    return intent if intent in INTENTS else INTENTS[-1]


def _action(step: Step) -> str:
    if isinstance(step.args.get("path"), Reference):
        return "open"
    return "search_under" if step.skill == "search" and "path" in step.args else step.skill
