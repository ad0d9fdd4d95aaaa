"""What the model is asked for and what it proposes: a plan as text, whatever decodes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import anyio.to_thread

from builderbrain.plan import Fault
from builderbrain.plan.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What a plan is wanted for.

    Args:
        attempt: from 1; a later one is wanted because the plans before it were refused, and should differ from them.
        faults: what the checker said of the last refused plan.
        observations: what earlier plans for this goal saw, as `observation.py` writes it: one line each, data alone.
        max_tokens: what the proposal may cost; None leaves it to the model.
    """

    goal: str
    attempt: int = 1
    faults: tuple[Fault, ...] = ()
    observations: tuple[str, ...] = ()
    max_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlanProposal:
    """What the model proposes.

    Args:
        text: the plan in its text form; empty when the model has nothing more to do.
        weight_version: version of the weights that decoded it.
        finish_reason: `length` when decoding was cut off, then the text is no plan.
        skeleton: the call graph that the model foresaw before it wrote the plan; None when it foresees none.
        tokens: what decoding it cost.
        confidence: calibrated probability that the plan is right; None when it is not known.
        features: of the goal, for the test of a shift; see `DeferralPolicy.judge`.
        alternatives: other plans in their text form, the likeliest first.
    """

    text: str
    weight_version: str
    finish_reason: Literal["stop", "length"] = "stop"
    skeleton: Skeleton | None = None
    tokens: int = 0
    confidence: float | None = None
    features: Mapping[str, float] = field(default_factory=dict)
    alternatives: tuple[str, ...] = ()


Propose = Callable[[PlanRequest], Awaitable[PlanProposal]]
"""From a request to a proposed plan. May be cancelled."""


def proposed_in_thread(source: Callable[[PlanRequest], PlanProposal]) -> Propose:
    """A function that blocks as a `Propose`."""

    async def propose(request: PlanRequest) -> PlanProposal:
        return await anyio.to_thread.run_sync(source, request)

    return propose
