"""Whether to look something up before a person is asked: exactly when that is expected to be worth more than it costs.

    net = E_o[max_a U(s, o, a)] - max_a E_o[U(s, o, a)] - cost        (the expected value of sample information)

`builderbrain.world` computes it; this module says what the runner needs of it, so that it knows no tensors.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Protocol

from builderbrain.plan import Plan
from builderbrain.plan.model import Reference, Step

logger = logging.getLogger(__name__)


class Worth(Protocol):
    """What a lookup is worth: the utility of the best act `now`, expected `after` it, its `cost`, and what is left, `net`."""

    @property
    def now(self) -> float: ...
    @property
    def after(self) -> float: ...
    @property
    def cost(self) -> float: ...
    @property
    def net(self) -> float: ...


class LookupVerdict(Protocol):
    """`tool` is the one to call, None for none; `worth` is that of every tool that was considered."""

    @property
    def tool(self) -> str | None: ...
    @property
    def worth(self) -> Mapping[str, Worth]: ...


class LookupGate(Protocol):
    """Something that knows what lookups are worth."""

    def weigh(self, domain: str, goal: str, tools: Set[str]) -> LookupVerdict | None:
        """The verdict on these tools for a goal; None where nothing is known of the domain. May block."""
        ...


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """What was decided: the `step` to run first, None when no lookup is worth its cost. `net` is the utility it is expected to
    bring after its cost, of the best of `tools` whether it is called or not."""

    step: Step | None
    best: str
    now: float
    after: float
    cost: float
    net: float

    def to_json(self) -> dict[str, Any]:
        """The `lookup` of a reply."""
        values = {name: round(getattr(self, name), 6) for name in ("now", "after", "cost", "net")}
        return {"called": self.step is not None, "tool": self.best, **values}


def weigh_lookup(gate: LookupGate, domain: str, goal: str, plan: Plan) -> Lookup | None:
    """Ask the gate about the lookups that a plan has ready: steps that need no other. None where there is nothing to weigh."""
    ready: dict[str, Step] = {}
    for step in plan.steps:
        if not step.needs and step.condition is None and not any(isinstance(value, Reference) for value in step.args.values()):
            ready.setdefault(step.skill, step)
    verdict = gate.weigh(domain, goal, frozenset(ready)) if ready else None
    if verdict is None or not verdict.worth:
        return None
    best = verdict.tool or max(verdict.worth, key=lambda tool: verdict.worth[tool].net)
    worth = verdict.worth[best]
    found = Lookup(
        step=ready[best] if verdict.tool is not None else None,
        best=best,
        now=worth.now,
        after=worth.after,
        cost=worth.cost,
        net=worth.net,
    )
    logger.info("lookup in %s: %s, net utility %.4f: %s", domain, best, found.net, "called" if found.step else "not called")
    return found
