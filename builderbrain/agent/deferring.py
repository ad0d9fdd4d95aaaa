"""What a goal gets whose plan is not sure enough: nothing is run, and a person is asked, in the words of its domain."""

from __future__ import annotations

from collections.abc import Sequence

from builderbrain.agent.answer import compose_answer, plan_lines
from builderbrain.agent.trace import TraceEntry
from builderbrain.deferral.offers import Offer, said
from builderbrain.plan import Plan, plan_to_json


def compose_offer(
    offer: Offer, goal: str, plan: Plan, *, alternatives: Sequence[Plan] = (), looked_up: Sequence[TraceEntry] = ()
) -> str:
    """The question, and before it what was looked up.

    Args:
        alternatives: other sound plans, the likeliest first; the plan itself comes before them.
    """
    choices = ["; ".join(plan_lines(one)) for one in (plan, *alternatives)]
    question = said(
        offer,
        asked=goal,
        understood=plan_lines(plan),
        missing=_arguments(plan),
        alternatives=list(dict.fromkeys(choices)),
    )
    if not looked_up:
        return question
    return f"{compose_answer(looked_up)}\n\n{question.replace('Nothing was done', 'Nothing else was done', 1)}"


def _arguments(plan: Plan) -> list[str]:
    """The values that a plan had to guess, in words."""
    steps = plan_to_json(plan)["steps"]
    return [f"{name} of {step['skill']} (understood: {value!r})" for step in steps for name, value in step["args"].items()]
