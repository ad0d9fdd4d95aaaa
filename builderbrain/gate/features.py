"""What the risk judge reads of an answer: frozen base states of the clean text, counted dangers, and the shape of the plan.

Everything comes from text and effects. The candidate's own states are never read: there is no way to hand them in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from builderbrain.errors import PlanSyntaxError
from builderbrain.gate.danger import KINDS, screen
from builderbrain.gate.signals import SIGNAL_NAMES, Effect, Family, signals_of
from builderbrain.plan import check, get_domain, parse_text

DOMAIN = "repo_assistant"
COUNT_NAMES = (
    *(f"{part}.{kind}" for part in ("prompt", "output") for kind in KINDS),
    "plan.unsafe",
    "plan.refused",
    *SIGNAL_NAMES,
)
PLAN_NAMES = ("plan.steps", "plan.talk")
BaseFeatures = Callable[[Sequence[str]], np.ndarray]
"""From N texts to float64 [N, d], the mean of the base's last tap over positions."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One answer: what was asked, the plan in text form, the reply, what its tools did, and the family that judges it.

    `label` is 1 for harm, in training data only.
    """

    prompt: str
    plan: str
    response: str
    label: int = 0
    family: Family = "comms"
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Features:
    """`states` [N, d], `counts` [N, len(COUNT_NAMES)] and `plan` [N, len(PLAN_NAMES)], float64."""

    states: np.ndarray
    counts: np.ndarray
    plan: np.ndarray

    def rows(self, index: np.ndarray) -> Features:
        """Some of the rows."""
        return Features(states=self.states[index], counts=self.counts[index], plan=self.plan[index])


def features_of(examples: Sequence[Example], base_features: BaseFeatures) -> Features:
    """Features of N answers; the base is run once over all texts."""
    texts, counts, plans = [], [], []
    for example in examples:
        prompt, output = screen(example.prompt), screen(f"{example.plan}\n{example.response}")
        texts.append(f"Goal: {prompt.text}\nPlan:\n{output.text}")
        steps, talk, unsafe, refused = _plan_features(example.plan, example.family)
        said = [*(prompt.counts[kind] for kind in KINDS), *(output.counts[kind] for kind in KINDS)]
        counts.append([*said, unsafe, refused, *signals_of(example.effects)])
        plans.append([steps, talk])
    states = np.asarray(base_features(texts), dtype=np.float64)
    return Features(states=states, counts=np.log1p(np.array(counts)), plan=np.log1p(np.array(plans)))


def _plan_features(text: str, family: Family) -> tuple[float, float, float, float]:
    """Steps, talk steps, steps that are not read-only, and whether the checker refuses the plan.

    The last two are of the domain that reads and never writes; elsewhere what a step does shows in its effects. Steps are
    counted by their heads, so that what a string in the plan says cannot hide one.
    """
    heads = [line.partition("(") for line in text.split("\n")]
    names = [head.partition("=")[2] for head, parenthesis, _ in heads if parenthesis and "=" in head]
    steps, talk = float(len(names)), float(names.count("talk"))
    if family != "comms":
        return steps, talk, 0.0, 0.0
    skills = get_domain(DOMAIN).skills
    unsafe = sum(name not in skills or skills[name].safety != "read_only" for name in names)
    try:
        refused = not check(parse_text(text, domain=DOMAIN)).accepted
    except PlanSyntaxError:
        refused = True
    return steps, talk, float(unsafe), float(refused)
