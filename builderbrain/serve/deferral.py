"""What a server defers by: a folder with a fitted confidence and thresholds, and the route that takes outcomes.

    confidence.json    from what the model thought of its choices to the probability that a plan is right
    thresholds.json    of plans, by domain
    decisions.json     of answers of `/v1/decisions`, by domain

`python -m builderbrain.eval deferral --save FOLDER` writes the first two, `fit-decisions --deferral FOLDER` the third. What
moves a threshold while the server runs is kept beside its file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.decode.base import Generation, TokenLogprob
from builderbrain.deferral import DeferralPolicy, DeferralTable
from builderbrain.errors import DataError, InvalidRequestError
from builderbrain.rail.confidence import Confidence, evidence_of
from builderbrain.rail.greedy import GreedyText
from builderbrain.serve.boundary import asker_of
from builderbrain.serve.fields import RequestModel, read_request
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.telemetry import Telemetry

CONFIDENCE, THRESHOLDS, DECISIONS = "confidence.json", "thresholds.json", "decisions.json"
DECISION_SUFFIX = "/decisions"
"""Of the name under which a domain's decisions are calibrated: they are other requests than its goals."""
ALTERNATIVES = 2
"""Log-probabilities that the evidence needs of each token: the choice's and the next best one's."""


@dataclass(frozen=True, kw_only=True)
class ServedDeferral:
    """`plans` and `confidence` are None where plans are not deferred; `decisions` uses starting points without a file."""

    decisions: DeferralPolicy
    plans: DeferralPolicy | None = None
    confidence: Confidence | None = None

    @property
    def policies(self) -> tuple[DeferralPolicy, ...]:
        """Both."""
        return (self.decisions,) if self.plans is None else (self.decisions, self.plans)

    @staticmethod
    def load(folder: Path | None, *, weight_version: str, telemetry: Telemetry) -> ServedDeferral:
        """Read a folder; None is one without files.

        Raises:
            CheckpointError: a file is missing or torn, or was fitted for other weights.
        """
        if folder is None:
            return ServedDeferral(decisions=DeferralPolicy(None))

        def policy(name: str) -> DeferralPolicy:
            table = DeferralTable.load(folder / name, weight_version=weight_version)
            state = (folder / name).with_suffix(".state.json")
            return DeferralPolicy(table, state_file=state, emit=telemetry.deferral_moved)

        only_decisions = (folder / DECISIONS).exists() and not (folder / THRESHOLDS).exists()
        found = ServedDeferral(
            decisions=policy(DECISIONS) if (folder / DECISIONS).exists() else DeferralPolicy(None),
            plans=None if only_decisions else policy(THRESHOLDS),
            confidence=None if only_decisions else Confidence.load(folder / CONFIDENCE, weight_version=weight_version),
        )
        for each in found.policies:
            telemetry.watch_thresholds(each.thresholds)
        return found


def plan_confidence(confidence: Confidence, generation: Generation) -> float:
    """The probability that a plan is right which was decoded greedily with `ALTERNATIVES` log-probabilities a token."""
    drawn = [*generation.logprobs, *(() if generation.ending is None else (generation.ending,))]
    finished = generation.finish_reason == "stop"
    forced = finished and generation.ending is None  # an end that is the only legal token is not drawn
    text = GreedyText(
        tokens=generation.tokens,
        finished=finished,
        logprobs=(*(one.logprob for one in drawn), *((0.0,) if forced else ())),
        margins=(*map(_margin, drawn), *((math.inf,) if forced else ())),
    )
    return float(confidence.probabilities(evidence_of(text)[None])[0])


def _margin(one: TokenLogprob) -> float:
    others = [logprob for token, logprob in one.top if token != one.token]
    return one.logprob - others[0] if others else math.inf


class OutcomeRequest(RequestModel):
    """What became of a request: `id` is that of its `deferral`, or the `trace_id` of its reply."""

    id: str = Field(max_length=64)
    right: bool


class OutcomeReply(BaseModel):
    """The `threshold` of the `domain` from now on, null where nothing is answered, and what happened in words."""

    domain: str
    threshold: float | None
    said: str


def outcomes_router(
    policies: Sequence[DeferralPolicy], tell: Callable[[str, bool, str], str | None] | None = None
) -> APIRouter:
    """The route over all policies of a server. `tell` (id, right, caller) hears of each outcome, and returns the domain of what
    is kept for learning."""
    router = APIRouter()

    @router.post("/v1/outcomes")
    @described("Tell how an answered or deferred request turned out.", body=OutcomeRequest, reply=OutcomeReply)
    async def outcomes(request: Request) -> Response:
        body = await read_request(request, OutcomeRequest)
        fault: DataError | None = None
        kept = None if tell is None else await to_thread.run_sync(tell, body.id, body.right, asker_of(request) or "unknown")
        for policy in policies:
            try:
                record = await to_thread.run_sync(partial(policy.outcome, body.id, right=body.right))
            except DataError as error:
                fault = error
                continue
            return json_reply({"domain": record.domain, "threshold": record.threshold, "said": record.said})
        if kept is not None:
            return json_reply({"domain": kept, "threshold": None, "said": "kept for learning; no threshold follows it"})
        raise InvalidRequestError("no policy takes outcomes" if fault is None else fault.message, field="id")

    return router
