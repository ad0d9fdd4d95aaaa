"""`/v1/plans/dry-run`, `/run` and `/confirm`, and `/v1/executions`: checked plans are run, confirmed and resumed.

A plan that needs a person's yes is not run: the reply is 202 with what needs it and a token, and `/v1/plans/confirm` with the
token runs exactly that plan. What was cut off, by a crash or by a client that left, is in the ledger and can be resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.agent.answer import compose_dry_run, compose_refusal
from builderbrain.agent.executor import WorkingRoot
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.policy import decide
from builderbrain.agent.report import ExecutionReport
from builderbrain.agent.runs import Pending, PlanRuns
from builderbrain.errors import (
    ConfirmationNotFoundError,
    ConflictError,
    ExecutionNotFoundError,
    LedgerError,
    NoToolsError,
    PlanRejectedError,
    PolicyError,
)
from builderbrain.plan import CheckedPlan, Verdict, checked, plan_to_json
from builderbrain.serve.boundary import asker_of
from builderbrain.serve.fields import read_request
from builderbrain.serve.openapi import described
from builderbrain.serve.plan_replies import (
    ConfirmationReply,
    DroppedReply,
    DryRunReply,
    ExecutionReply,
    ExecutionsReply,
    KnownExecutionDetailReply,
)
from builderbrain.serve.plan_requests import (
    AnswerRequest,
    ConfirmRequest,
    PlanRequestBody,
    PlanRunRequest,
    read_body_plan,
)
from builderbrain.serve.replies import json_reply
from builderbrain.serve.roots import below
from builderbrain.serve.service import Service

_RUNNING = (PolicyError, NoToolsError, LedgerError, ConflictError)


@dataclass(frozen=True, kw_only=True)
class PlanRoutes:
    """What the routes stand on.

    Args:
        granted: levels that requests may grant.
    """

    service: Service
    runs: PlanRuns
    root: WorkingRoot
    granted: frozenset[str]

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        self._add_runs(router)
        self._add_executions(router)
        return router

    def _add_runs(self, router: APIRouter) -> None:
        @router.post("/v1/plans/dry-run")
        @described(
            "What running a plan would do; nothing is run.", body=PlanRequestBody, reply=DryRunReply, raises=(PolicyError,)
        )
        async def plans_dry_run(request: Request) -> Response:
            body = await read_request(request, PlanRequestBody)
            self._refuse_grants(body)
            try:
                plan = self._checked(body)
            except PlanRejectedError as error:
                verdict = error.verdict if isinstance(error.verdict, Verdict) else Verdict(False, ())
                said = compose_refusal(verdict)
                return json_reply({"verdict": verdict.to_json(), "plan": None, "decisions": [], "said": said})
            decisions = [
                {"id": one.step, "skill": one.skill, "decision": one.decision, "reason": one.reason}
                for one in decide(plan, self.runs.runtime.policy)
            ]
            verdict = Verdict(True, (), plan.confirm)
            return json_reply(
                {
                    "verdict": verdict.to_json(),
                    "plan": plan_to_json(plan.plan),
                    "decisions": decisions,
                    "said": compose_dry_run(plan.plan),
                }
            )

        @router.post("/v1/plans/run")
        @described(
            "Check a plan and run it, or say what needs a person's yes.",
            body=PlanRunRequest,
            reply=ExecutionReply,
            accepted=ConfirmationReply,
            raises=(PlanRejectedError, *_RUNNING),
        )
        async def plans_run(request: Request) -> Response:
            body = await read_request(request, PlanRunRequest)
            self._refuse_grants(body)
            root = self.root if body.root is None else await to_thread.run_sync(below, self.root, body.root)
            return self._reply(await self.runs.run(self._checked(body), root, asker=asker_of(request)))

        @router.post("/v1/plans/confirm")
        @described(
            "Answer what a plan waits for: it is run, or dropped.",
            body=ConfirmRequest,
            reply=ExecutionReply,
            accepted=DroppedReply,
            raises=(ConfirmationNotFoundError, *_RUNNING),
        )
        async def plans_confirm(request: Request) -> Response:
            body = await read_request(request, ConfirmRequest)
            report = await self.runs.answer(body.token, yes=body.approve, asker=asker_of(request))
            return json_reply({"status": "dropped"}, status=202) if report is None else self._reply(report)

    def _add_executions(self, router: APIRouter) -> None:
        @router.get("/v1/executions")
        @described("Executions that are not over.", reply=ExecutionsReply)
        async def executions(request: Request) -> Response:
            found = await to_thread.run_sync(self._unfinished)
            return json_reply({"executions": found})

        @router.get("/v1/executions/{execution}")
        @described("One execution, as the ledger holds it.", reply=KnownExecutionDetailReply, raises=(ExecutionNotFoundError,))
        async def execution(request: Request) -> Response:
            return json_reply(await to_thread.run_sync(self._detail, request.path_params["execution"]))

        @router.post("/v1/executions/{execution}/resume")
        @described(
            "Go on with an execution that was cut off; no effect is had twice.",
            reply=ExecutionReply,
            raises=(ExecutionNotFoundError, PlanRejectedError, *_RUNNING),
        )
        async def execution_resume(request: Request) -> Response:
            name = request.path_params["execution"]
            await to_thread.run_sync(self._ledger(name).execution, name)
            return self._reply(await self.runs.resume(name))

        @router.post("/v1/executions/{execution}/answer")
        @described(
            "Say whether an effect that is unknown was done.",
            body=AnswerRequest,
            reply=KnownExecutionDetailReply,
            raises=(ExecutionNotFoundError, LedgerError),
        )
        async def execution_answer(request: Request) -> Response:
            name = request.path_params["execution"]
            body = await read_request(request, AnswerRequest)
            ledger = self._ledger(name)
            await to_thread.run_sync(ledger.execution, name)
            await to_thread.run_sync(lambda: ledger.answer(name, body.step, done=body.done, results=body.results))
            return json_reply(await to_thread.run_sync(self._detail, name))

    def _refuse_grants(self, body: PlanRequestBody) -> None:
        wanted = sorted(body.granted - self.granted)
        if wanted:
            raise PolicyError(
                f"grant: {wanted[0]} is not allowed on this server; leave it out, or start the server with "
                f"--allow-{'writes' if wanted[0] == 'mutating' else 'meta'}",
                field="grant",
            )

    def _checked(self, body: PlanRequestBody) -> CheckedPlan:
        source, unread = read_body_plan(body)
        if unread is not None:
            self.service.telemetry.checked(accepted=False)
            raise PlanRejectedError(f"the plan was refused: {unread.faults[0]}", field="plan", verdict=unread)
        try:
            plan = checked(source, granted=body.granted)
        except PlanRejectedError:
            self.service.telemetry.checked(accepted=False)
            raise
        self.service.telemetry.checked(accepted=True)
        return plan

    def _reply(self, outcome: ExecutionReport | Pending) -> Response:
        self.service.telemetry.ran(outcome.status if isinstance(outcome, ExecutionReport) else "confirmation_required")
        if isinstance(outcome, Pending):
            return json_reply({"status": "confirmation_required", **outcome.to_json()}, status=202)
        self.service.telemetry.stepped(outcome.entries)
        return json_reply(execution_reply(outcome))

    def _ledger(self, execution: str) -> Ledger:
        ledger = self.runs.runtime.ledger
        if ledger is None:
            raise ExecutionNotFoundError(
                f"there is no execution {execution!r:.80}: this server keeps none; start it with --state-dir", field="execution"
            )
        return ledger

    def _unfinished(self) -> list[dict[str, Any]]:
        ledger = self.runs.runtime.ledger
        return [] if ledger is None else [self._known(ledger, name) for name in ledger.unfinished()]

    def _detail(self, execution: str) -> dict[str, Any]:
        ledger = self._ledger(execution)
        known = self._known(ledger, execution)
        entries = [
            {"step": entry.step, "role": entry.role, "skill": entry.skill, "status": entry.status, "error": entry.error}
            for entry in ledger.entries(execution)
        ]
        return {**known, "plan": dict(ledger.execution(execution).plan), "entries": entries}

    def _known(self, ledger: Ledger, execution: str) -> dict[str, Any]:
        row = ledger.execution(execution)
        return {
            "execution": row.id,
            "status": row.status,
            "reason": row.reason,
            "domain": str(row.plan.get("domain")),
            "running": row.id in self.runs.running,
        }


def execution_reply(report: ExecutionReport) -> Mapping[str, Any]:
    """A report with attempts and journal, as JSON."""
    steps = [{**entry.to_json(), "attempts": entry.attempts} for entry in report.entries]
    return {**report.to_json(), "steps": steps, "journal": [event.to_json() for event in report.events]}
