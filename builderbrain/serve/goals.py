"""`POST /v1/goals`: a goal becomes a plan under the domain's grammar, is checked, run below a confined root, and answered.

Plans are decoded through the engine like any other output, so that a client that leaves cancels them at once. A plan that the
checker refuses is repaired, decoded again, or answered by what the domain falls back on (docs/plans.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anyio import to_thread
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.agent.domain_runtime import open_domain
from builderbrain.agent.executor import Runtime, WorkingRoot
from builderbrain.agent.goal import MAX_GOAL_CHARACTERS, GoalRunner, check_goal
from builderbrain.agent.hand_off import HandOver
from builderbrain.agent.lookup import LookupGate
from builderbrain.agent.proposal import PlanProposal, PlanRequest
from builderbrain.agent.runs import PlanRuns
from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.decode.temperature import Temperature
from builderbrain.errors import LedgerError, PolicyError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.plan import READ_ONLY
from builderbrain.plan.repair import WriteArgument
from builderbrain.rail.confidence import Confidence
from builderbrain.serve.deferral import ALTERNATIVES, ServedDeferral, plan_confidence
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.generation import OutputRequest, generate, results
from builderbrain.serve.learning import GoalAnswered
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import GoalReply
from builderbrain.serve.roots import below
from builderbrain.serve.service import Service

MAX_PLAN_TOKENS = 256
MAX_RUNNING_PLANS = 8
AGAIN_TEMPERATURE = 0.7
"""Of a plan that is decoded because the one before was refused: at the domain's own temperature it would be the same."""


class GoalRequest(RequestModel):
    """What is to be done, and where. `root` is a folder below the server's own root; `dry_run` runs nothing. `store`: false
    keeps this request out of what a server with --learn writes down; a server without it never keeps one."""

    goal: str = Field(max_length=MAX_GOAL_CHARACTERS)
    root: str | None = Field(default=None, max_length=4096)
    dry_run: bool | None = None
    store: bool | None = None


def goals_router(
    service: Service,
    *,
    grammar: CompiledConstraint,
    root: WorkingRoot,
    temperature: Temperature = 0.0,
    runs: PlanRuns | None = None,
    granted: frozenset[str] = READ_ONLY,
    write: WriteArgument | None = None,
    hand_over: HandOver | None = None,
    deferral: ServedDeferral | None = None,
    lookups: LookupGate | None = None,
    learner: Callable[[GoalAnswered], str | None] | None = None,
) -> APIRouter:
    """The route.

    Args:
        service: decodes the plans, with its default model.
        grammar: the plan grammar of the domain.
        root: where tools may read.
        temperature: of the plans; the domain's. Those that are deferred by their confidence are the likeliest ones.
        runs: runs the plans, with the breakers; by default without a ledger.
        granted: levels that plans may use.
        write: writes single arguments, for repair and templates.
        hand_over: hands a goal to a person when no plan is accepted.
        deferral: what says which plans are sure enough to be run; without a fitted confidence all are.
        lookups: what says whether to look something up before a person is asked.
        learner: hears of every goal and names its trace; None where nothing is learned.
    """
    confidence = None if deferral is None else deferral.confidence
    policy = None if deferral is None else deferral.plans
    router = APIRouter()
    places = asyncio.Semaphore(MAX_RUNNING_PLANS)
    shared = runs if runs is not None else PlanRuns(Runtime())

    async def propose(request: PlanRequest) -> PlanProposal:
        return await _propose(service, grammar, temperature, request, confidence)

    @router.post("/v1/goals")
    @described(
        "Plan a goal, check the plan, run it and answer.",
        body=GoalRequest,
        reply=GoalReply,
        raises=(*GENERATING, PolicyError, LedgerError),
    )
    async def goals(request: Request) -> Response:
        body = await read_request(request, GoalRequest)
        check_goal(body.goal)
        folder = root if body.root is None else await to_thread.run_sync(below, root, body.root)
        async with places:
            home = open_domain("repo_assistant", folder, granted=granted)
            runner = GoalRunner(propose, home, runs=shared, write=write, hand_over=hand_over, deferral=policy, lookups=lookups)
            result = await runner.run_async(body.goal, dry_run=bool(body.dry_run))
        service.telemetry.answered(accepted=result.verdict.accepted)
        service.telemetry.fell_back(result.fallback)
        if result.repair is not None:
            service.telemetry.repaired(result.repair)
        if result.deferral is not None:
            service.telemetry.deferred(result.deferral)
        if result.lookup is not None:
            service.telemetry.looked_up(result.lookup.net)
        reply = result.to_json()
        if learner is not None and body.store is not False:
            served = GoalAnswered(goal=body.goal, result=result, caller=request.state.caller)
            if (trace := await to_thread.run_sync(learner, served)) is not None:
                reply["trace_id"] = trace
        return json_reply(reply)

    return router


async def _propose(
    service: Service,
    grammar: CompiledConstraint,
    temperature: Temperature,
    request: PlanRequest,
    confidence: Confidence | None,
) -> PlanProposal:
    prompt = plan_prompt(service.backend.tokenizer, request.goal, request.observations)  # short, see `check_goal`
    room = service.room(prompt, None, default=MAX_PLAN_TOKENS, field="goal")
    again = request.attempt > 1
    output = OutputRequest(
        model=service.served(None).name,
        prompt=tuple(prompt),
        parameters=SamplingParameters(
            max_tokens=room if request.max_tokens is None else min(room, request.max_tokens),
            temperature=AGAIN_TEMPERATURE if again else temperature if confidence is None else 0.0,
            seed=request.attempt - 1,
            logprobs=None if confidence is None else ALTERNATIVES,
        ),
        constraint=grammar,
    )
    generation: Generation = (await results(service.engine, [generate(service.backend, output)]))[0]
    service.record(generation)
    return PlanProposal(
        text=generation.text,
        weight_version=generation.weight_version,
        finish_reason=generation.finish_reason,
        tokens=len(generation.tokens),
        confidence=None if confidence is None else plan_confidence(confidence, generation),
        features={"tokens": float(len(prompt))},
    )
