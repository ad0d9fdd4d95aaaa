"""`POST /v1/goals`: a goal of any domain becomes a plan under its grammar, is checked, run, and answered.

The domain's rail decodes the plan. One that the checker refuses is repaired, decoded again, or answered by what the domain
falls back on (docs/plans.md). Plans of a domain with a simulated world act on it, those of others below a confined root.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.agent.executor import WorkingRoot
from builderbrain.agent.goal import MAX_GOAL_CHARACTERS, GoalResult, GoalRunner, check_goal
from builderbrain.agent.hand_off import HandOver
from builderbrain.agent.lookup import LookupGate
from builderbrain.agent.runs import PlanRuns
from builderbrain.errors import LedgerError, NoRailError, NoToolsError, PolicyError
from builderbrain.plan import READ_ONLY
from builderbrain.plan.repair import WriteArgument
from builderbrain.serve.attached import GoalAnswered, Traffic
from builderbrain.serve.boundary import asker_of
from builderbrain.serve.domain_rails import DEFAULT_DOMAIN
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.goal_domains import GoalDomain, GoalDomains
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.plan_requests import name_the_domains
from builderbrain.serve.proposing import proposed_by
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import GoalReply
from builderbrain.serve.roots import below
from builderbrain.serve.service import Service

MAX_RUNNING_PLANS = 8
PLANNING = (*GENERATING, NoRailError, NoToolsError, PolicyError, LedgerError)
"""What a route raises that makes plans and runs them."""

DomainName = Annotated[str, Field(min_length=1, max_length=128, json_schema_extra=name_the_domains)]


class GoalRequest(RequestModel):
    """What is to be done, and where. `root` is a folder below the server's own root; `dry_run` runs nothing. `store`: false
    keeps this request out of what a server with --learn writes down; a server without it never keeps one."""

    goal: str = Field(max_length=MAX_GOAL_CHARACTERS)
    domain: DomainName = DEFAULT_DOMAIN
    root: str | None = Field(default=None, max_length=4096)
    dry_run: bool | None = None
    store: bool | None = None


def goals_router(
    service: Service,
    *,
    domains: GoalDomains,
    root: WorkingRoot,
    runs: PlanRuns,
    granted: frozenset[str] = READ_ONLY,
    write: WriteArgument | None = None,
    hand_over: HandOver | None = None,
    lookups: LookupGate | None = None,
    traffic: Traffic | None = None,
) -> APIRouter:
    """The route.

    Args:
        service: decodes the plans.
        domains: with which model, and how.
        root: where tools may read.
        runs: runs the plans, with the breakers and the worlds.
        granted: levels that plans may use.
        write: writes single arguments, for repair and templates.
        hand_over: hands a goal to a person when no plan is accepted.
        lookups: what says whether to look something up before a person is asked.
        traffic: hears of every goal; None where nobody listens.
    """
    router = APIRouter()
    places = asyncio.Semaphore(MAX_RUNNING_PLANS)

    @router.post("/v1/goals")
    @described("Plan a goal, check the plan, run it and answer.", body=GoalRequest, reply=GoalReply, raises=PLANNING)
    async def goals(request: Request) -> Response:
        body = await read_request(request, GoalRequest)
        check_goal(body.goal)
        folder = root if body.root is None else await to_thread.run_sync(below, root, body.root)
        domain = await to_thread.run_sync(domains.open, body.domain)
        async with places:
            runner = GoalRunner(
                proposed_by(service, domain),
                runs.home(domain.name, folder, granted=granted, asker=asker_of(request)),
                runs=runs,
                write=write,
                hand_over=hand_over,
                deferral=None if domain.deferral is None else domain.deferral.plans,
                lookups=lookups,
            )
            result = await runner.run_async(body.goal, dry_run=bool(body.dry_run))
        _count(service, result)
        reply = {"domain": domain.name, **result.to_json(), **not_deferred(domain)}
        own = domain.name == DEFAULT_DOMAIN  # rails of other domains are not versions of the registry
        if traffic is not None and own:
            served = GoalAnswered(
                goal=body.goal,
                result=result,
                caller=asker_of(request) or "unknown",
                domain=domain.name,
                store=body.store is not False,
            )
            if (trace := await to_thread.run_sync(traffic.answered, served)) is not None:
                reply["trace_id"] = trace
        return json_reply(reply)

    return router


def not_deferred(domain: GoalDomain) -> dict[str, Any]:
    """What a reply says where nothing tells sure plans from others."""
    if domain.deferral is not None:
        return {}
    said = f"no confidence is fitted here for plans of {domain.name}, so every plan that the checker accepts is run"
    return {"deferral_off": said}


def _count(service: Service, result: GoalResult) -> None:
    service.telemetry.answered(accepted=result.verdict.accepted)
    service.telemetry.fell_back(result.fallback)
    service.telemetry.stepped(result.trace)
    if result.repair is not None:
        service.telemetry.repaired(result.repair)
    if result.deferral is not None:
        service.telemetry.deferred(result.deferral)
    if result.lookup is not None:
        service.telemetry.looked_up(result.lookup.net)
