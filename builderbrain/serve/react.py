"""`POST /v1/react`: reason, act, observe. Several plans for one goal, each made knowing what those before it saw.

The loop ends when nothing is open, or at a bound on plans, steps, tokens or seconds; the reply then says which it was and holds
what was done by then (`agent/react.py`). Plans are decoded, checked and run as those of `/v1/goals` are.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.agent.executor import WorkingRoot
from builderbrain.agent.goal import MAX_GOAL_CHARACTERS, check_goal
from builderbrain.agent.planning import Planner
from builderbrain.agent.react import Bounds, LoopResult, ReActLoop
from builderbrain.agent.runs import PlanRuns
from builderbrain.plan import READ_ONLY
from builderbrain.plan.repair import WriteArgument
from builderbrain.serve.boundary import asker_of
from builderbrain.serve.domain_rails import DEFAULT_DOMAIN
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.goals import MAX_RUNNING_PLANS, PLANNING, DomainName, not_deferred
from builderbrain.serve.openapi import described
from builderbrain.serve.plan_replies import LoopReply
from builderbrain.serve.proposing import proposed_by
from builderbrain.serve.replies import json_reply
from builderbrain.serve.roots import below
from builderbrain.serve.service import Service

BOUNDS = Bounds()
"""Of a loop whose request names none."""
MOST = Bounds(rounds=16, steps=128, tokens=16_384, seconds=600.0)
"""That a request may ask for."""


class ReactRequest(RequestModel):
    """What is to be done, where, and within which bounds: plans, steps that run, tokens of all plans, seconds."""

    goal: str = Field(max_length=MAX_GOAL_CHARACTERS)
    domain: DomainName = DEFAULT_DOMAIN
    root: str | None = Field(default=None, max_length=4096)
    max_plans: Annotated[int, Field(ge=1, le=MOST.rounds)] = BOUNDS.rounds
    max_steps: Annotated[int, Field(ge=1, le=MOST.steps)] = BOUNDS.steps
    max_tokens: Annotated[int, Field(ge=1, le=MOST.tokens)] = BOUNDS.tokens
    max_seconds: Annotated[float, Field(gt=0, le=MOST.seconds)] = BOUNDS.seconds

    @property
    def bounds(self) -> Bounds:
        """As the loop takes them."""
        return Bounds(rounds=self.max_plans, steps=self.max_steps, tokens=self.max_tokens, seconds=self.max_seconds)


def react_router(
    service: Service,
    *,
    domains: GoalDomains,
    root: WorkingRoot,
    runs: PlanRuns,
    granted: frozenset[str] = READ_ONLY,
    write: WriteArgument | None = None,
) -> APIRouter:
    """The route; see `goals_router` for what it takes."""
    router = APIRouter()
    places = asyncio.Semaphore(MAX_RUNNING_PLANS)

    @router.post("/v1/react")
    @described(
        "Plan, run and look again until nothing is open or a bound is hit.", body=ReactRequest, reply=LoopReply, raises=PLANNING
    )
    async def react(request: Request) -> Response:
        body = await read_request(request, ReactRequest)
        check_goal(body.goal)
        folder = root if body.root is None else await to_thread.run_sync(below, root, body.root)
        domain = await to_thread.run_sync(domains.open, body.domain)
        async with places:
            home = runs.home(domain.name, folder, granted=granted, asker=asker_of(request))
            planner = Planner(
                proposed_by(service, domain),
                domain=domain.name,
                version=home.domain.version,
                granted=granted,
                write=write,
                breakers=runs.board.domain(domain.name),
            )
            result = await ReActLoop(planner, runs, folder, home=home, bounds=body.bounds).run(body.goal)
        _count(service, result)
        return json_reply({"domain": domain.name, **result.to_json(), **not_deferred(domain)})

    return router


def _count(service: Service, result: LoopResult) -> None:
    for one in result.rounds:
        service.telemetry.answered(accepted=one.planned.verdict.accepted)
        service.telemetry.fell_back(one.planned.tried)
        if one.planned.repair is not None:
            service.telemetry.repaired(one.planned.repair)
