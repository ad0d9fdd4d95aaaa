"""`POST /v1/goals`: a goal becomes a plan under the domain's grammar, is checked, run below a confined root, and answered.

The plan is decoded through the engine like any other output, before the runner is called, so that a client that leaves
cancels it at once.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from anyio import to_thread
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.agent.executor import WorkingRoot
from builderbrain.agent.goal import MAX_GOAL_CHARACTERS, GoalRunner, PlanProposal, check_goal
from builderbrain.agent.lookup import LookupGate
from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.decode.temperature import Temperature
from builderbrain.errors import InvalidRequestError, PathEscapeError, ToolError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.rail.confidence import Confidence
from builderbrain.serve.deferral import ALTERNATIVES, ServedDeferral, plan_confidence
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.generation import OutputRequest, generate, results
from builderbrain.serve.openapi import GENERATING, described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import GoalReply
from builderbrain.serve.service import Service

MAX_PLAN_TOKENS = 256
MAX_RUNNING_PLANS = 8


class GoalRequest(RequestModel):
    """What is to be done, and where. `root` is a folder below the server's own root; `dry_run` runs nothing."""

    goal: str = Field(max_length=MAX_GOAL_CHARACTERS)
    root: str | None = Field(default=None, max_length=4096)
    dry_run: bool | None = None


def goals_router(
    service: Service,
    *,
    grammar: CompiledConstraint,
    root: WorkingRoot,
    temperature: Temperature = 0.0,
    deferral: ServedDeferral | None = None,
    lookups: LookupGate | None = None,
) -> APIRouter:
    """The route.

    Args:
        service: decodes the plans, with its default model.
        grammar: the plan grammar of the domain.
        root: where tools may read.
        temperature: of the plans; the domain's. Those that are deferred by their confidence are the likeliest ones.
        deferral: what says which plans are sure enough to be run; without a fitted confidence all are.
        lookups: what says whether to look something up before a person is asked.
    """
    confidence = None if deferral is None else deferral.confidence
    policy = None if deferral is None else deferral.plans
    router = APIRouter()
    places = asyncio.Semaphore(MAX_RUNNING_PLANS)

    @router.post("/v1/goals")
    @described("Plan a goal, check the plan, run it and answer.", body=GoalRequest, reply=GoalReply, raises=GENERATING)
    async def goals(request: Request) -> Response:
        body = await read_request(request, GoalRequest)
        check_goal(body.goal)
        below = root if body.root is None else await to_thread.run_sync(_below, root, body.root)
        proposal = await _propose(service, grammar, temperature, body.goal, confidence)
        async with places:
            runner = GoalRunner(lambda _: proposal, below, deferral=policy, lookups=lookups)
            result = await runner.run_async(body.goal, dry_run=bool(body.dry_run))
        service.telemetry.answered(accepted=result.verdict.accepted)
        if result.deferral is not None:
            service.telemetry.deferred(result.deferral)
        if result.lookup is not None:
            service.telemetry.looked_up(result.lookup.net)
        return json_reply(result.to_json())

    return router


async def _propose(
    service: Service, grammar: CompiledConstraint, temperature: Temperature, goal: str, confidence: Confidence | None
) -> PlanProposal:
    prompt = plan_prompt(service.backend.tokenizer, goal)  # a goal is short, see check_goal
    room = service.room(prompt, None, default=MAX_PLAN_TOKENS, field="goal")
    output = OutputRequest(
        model=service.served(None).name,
        prompt=tuple(prompt),
        parameters=SamplingParameters(max_tokens=room, temperature=temperature)
        if confidence is None
        else SamplingParameters(max_tokens=room, temperature=0.0, logprobs=ALTERNATIVES),
        constraint=grammar,
    )
    generation: Generation = (await results(service.engine, [generate(service.backend, output)]))[0]
    service.record(generation)
    return PlanProposal(
        text=generation.text,
        weight_version=generation.weight_version,
        finish_reason=generation.finish_reason,
        confidence=None if confidence is None else plan_confidence(confidence, generation),
        features={"tokens": float(len(prompt))},
    )


def _below(root: WorkingRoot, path: str) -> WorkingRoot:
    """A folder below the root, given relative to it or as an absolute path.

    Raises:
        PathEscapeError: it leads out.
        InvalidRequestError: there is no such folder.
    """
    if "\0" not in path and Path(path).is_absolute() and Path(path).is_relative_to(root.folder):
        path = str(Path(path).relative_to(root.folder))
    try:
        return root if path == "." else root.below(path)
    except PathEscapeError as error:
        raise PathEscapeError(f"root: {error.message}", field="root") from error
    except ToolError as error:
        raise InvalidRequestError(f"root: {error.message}", field="root") from error
