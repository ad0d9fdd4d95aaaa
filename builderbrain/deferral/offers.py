"""What is given where an answer is not sure enough, by domain, and how it is said.

Near the threshold one is offered, far under it (below half of it) another: what helps where a word is missing does not where
nothing was understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Offer = Literal["clarify", "information", "alternatives", "escalate"]
FAR = 0.5
"""Share of the threshold below which a confidence is far from it."""
SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class DomainRule:
    """`start`: the threshold before any was fitted. `near`, `far`: what is offered."""

    start: float
    near: Offer
    far: Offer


RULES: dict[str, DomainRule] = {
    "chat_social": DomainRule(start=0.6, near="clarify", far="information"),
    "phone_flow": DomainRule(start=0.7, near="clarify", far="escalate"),
    "repo_assistant": DomainRule(start=0.8, near="alternatives", far="clarify"),
    "ui_macro": DomainRule(start=0.8, near="alternatives", far="escalate"),
    "api_json": DomainRule(start=0.8, near="information", far="escalate"),
    "robot_cell": DomainRule(start=0.9, near="escalate", far="escalate"),
}
STRICTEST = DomainRule(start=0.9, near="escalate", far="escalate")
"""Of a domain that is not listed."""


def rule_of(domain: str) -> DomainRule:
    """The rule of a domain; what stands behind a slash says which of its requests are meant."""
    return RULES.get(domain.partition("/")[0], STRICTEST)


def offer_of(domain: str, confidence: float, threshold: float | None) -> Offer:
    """What is offered at a confidence under the threshold; where no confidence would do, what is for far ones."""
    rule = rule_of(domain)
    near = threshold is not None and confidence >= FAR * threshold
    return rule.near if near else rule.far


def said(offer: Offer, *, asked: str, understood: Sequence[str], missing: Sequence[str], alternatives: Sequence[str]) -> str:
    """The words for a person.

    Args:
        asked: the request.
        understood: what would be done, a line each.
        missing: values that the request would have to give, such as `search.pattern`.
        alternatives: other answers that may be meant; without any, `understood` is the one.
    """
    if offer == "clarify":
        meant = _listed(understood)
        return f"Nothing was done. Do you mean this by {_quoted(asked)}?\n{meant}\nSay yes, or say it in other words."
    if offer == "information":
        wanted = _listed(missing) if missing else "- what exactly is to be done"
        return f"Nothing was done: {_quoted(asked)} leaves open what is needed. Please give:\n{wanted}"
    if offer == "alternatives":
        choices = [*(alternatives or ["; ".join(understood)]), "none of these"]
        numbered = "\n".join(f"{number}. {choice}" for number, choice in enumerate(choices[:SHOWN], start=1))
        return f"Nothing was done. Which of these do you mean by {_quoted(asked)}?\n{numbered}"
    return f"Nothing was done: a person has to decide on {_quoted(asked)}. What was understood:\n{_listed(understood)}"


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines[:SHOWN])


def _quoted(text: str) -> str:
    short = text if len(text) <= 200 else f"{text[:199]}…"
    return f'"{short}"'
