"""`POST /v1/decisions`, in OpenAI's shape: yes-or-no, choice and score questions over an input, answered with probabilities.

The probabilities are the model's own, of the whole texts of the allowed answers and nothing else. Where a calibration was
fitted for exactly this model and kind of question they go through it, and a question whose answer is not sure enough comes
back as a `refusal`. Where none was, `calibration` is null and the probabilities are raw; nothing else is ever claimed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.decode.base import Step
from builderbrain.deferral import Deferral, DeferralPolicy
from builderbrain.deferral.offers import said
from builderbrain.errors import InvalidRequestError, NonFiniteLogitsError, UncalibratedError
from builderbrain.serve.conversation import conversation_prompt
from builderbrain.serve.decision_calibration import CalibrationMap, Calibrations, DecisionCalibration
from builderbrain.serve.decision_replies import DecisionReply
from builderbrain.serve.decision_requests import DecisionRequest, InputMessage, Question, conversation, shown
from builderbrain.serve.deferral import DECISION_SUFFIX
from builderbrain.serve.engine import Work
from builderbrain.serve.fields import read_request
from builderbrain.serve.generation import results
from builderbrain.serve.label_scores import LabelScores, begins_another
from builderbrain.serve.openapi import RUNNING, described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.service import Service
from builderbrain.serve.shapes import envelope

TOGETHER = 16
"""Questions of one request that are asked at once."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A question in tokens. `ends`: ids that end an answer, where only its end tells it from a longer one."""

    question: Question
    prompt: tuple[int, ...]
    labels: tuple[tuple[int, ...], ...]
    ends: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a model made of a question: `probabilities` float64 [K] of the allowed answers, which add up to 1.

    `allowed_mass` is the probability that the model gives all of them together: small where it would have said something else.
    """

    prepared: Prepared
    probabilities: np.ndarray
    allowed_mass: float
    scores: LabelScores


def decisions_router(service: Service, calibrations: Calibrations, policy: DeferralPolicy | None = None) -> APIRouter:
    """The route over one service, what was fitted for its models, and the thresholds of domains (else the starting ones)."""
    policy = DeferralPolicy(None) if policy is None else policy
    router = APIRouter()

    @router.post("/v1/decisions")
    @described(
        "Answer questions over an input with probabilities.",
        body=DecisionRequest,
        reply=DecisionReply,
        raises=(*RUNNING, UncalibratedError),
    )
    async def decisions(request: Request) -> Response:
        body = await read_request(request, DecisionRequest)
        model = service.served(body.model)
        prepared = [
            await prepare(service, body.input, question, field=f"questions.{index}")
            for index, question in enumerate(body.questions)
        ]
        for each in prepared:  # before the model runs; looked up again for the version that answers
            _calibration(service, calibrations, body, each, model.version)
        asked = await ask(service, model.name, prepared)
        answers = [_answer(service, calibrations, policy, body, each) for each in asked]
        fingerprint = service.fingerprint(asked[0].scores.weight_version)
        tokens = sum(len(each.prompt) for each in prepared)
        return json_reply(
            {
                **envelope("dec", "decision", model.name, fingerprint),
                "answers": answers,
                "usage": {
                    "input_tokens": tokens,
                    "input_tokens_details": {
                        "cached_tokens": sum(each.scores.cached_tokens for each in asked),
                        "cache_write_tokens": 0,
                    },
                    "output_tokens": 0,
                    "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": tokens,
                },
            }
        )

    return router


async def prepare(service: Service, given: str | list[InputMessage], question: Question, *, field: str) -> Prepared:
    """A question in the tokens of the served base.

    Raises:
        InvalidRequestError: two options are the same tokens.
        ContextLengthError: it does not fit the context.
    """
    prompt = await conversation_prompt(service, conversation(given, question), None, field=field)
    opening, marks = service.template.opening, service.template.marks
    # Where the assistant's turn opens with plain text, as in "Assistant:", an answer follows after a space.
    apart = bool(opening) and opening[-1] not in marks and not opening[-1].endswith((" ", "\n"))
    texts = [f"{' ' if apart else ''}{label}" for label in question.labels()]
    labels = [tuple(await service.encode(text, field=field)) for text in texts]
    if len(set(labels)) < len(labels) or not all(labels):
        raise InvalidRequestError(
            f"{field}: expected options of different tokens, got two that this tokenizer writes alike; reword one", field=field
        )
    ends: frozenset[int] = frozenset()
    if begins_another(labels):
        tokenizer, special = service.backend.tokenizer, service.backend.special_tokens
        ends = service.template.stop_tokens(special) | {tokenizer.eos_token_id}
    service.room(prompt, max(map(len, labels)), default=None, field=field)
    return Prepared(question=question, prompt=tuple(prompt), labels=tuple(labels), ends=ends)


async def ask(service: Service, model: str, questions: Sequence[Prepared]) -> list[Asked]:
    """Ask them all, some at once."""
    found: list[Asked] = []
    for start in range(0, len(questions), TOGETHER):
        some = questions[start : start + TOGETHER]
        scores: list[LabelScores] = await results(service.engine, [_work(service, model, each) for each in some])
        found += [_asked(each, score) for each, score in zip(some, scores, strict=True)]
    return found


def _work(service: Service, model: str, prepared: Prepared) -> Work:
    def work() -> Generator[Step | None, None, LabelScores]:
        scoring = service.backend.score_labels(model, prepared.prompt, prepared.labels, prepared.ends)
        try:
            while True:
                next(scoring)
                yield None
        except StopIteration as finished:
            found: LabelScores = finished.value
            return found
        finally:
            scoring.close()

    return work


def _asked(prepared: Prepared, scores: LabelScores) -> Asked:
    logprobs = np.array(scores.logprobs)
    largest = logprobs.max()
    if not np.isfinite(largest):
        raise NonFiniteLogitsError("expected finite log-probabilities of the answers, got none; the model is broken")
    weights = np.exp(logprobs - largest)
    mass = float(weights.sum() * np.exp(largest))
    return Asked(prepared=prepared, probabilities=weights / weights.sum(), allowed_mass=min(mass, 1.0), scores=scores)


def _calibration(
    service: Service, calibrations: Calibrations, body: DecisionRequest, prepared: Prepared, version: str
) -> tuple[DecisionCalibration, CalibrationMap] | None:
    """What was fitted for this model and kind of question.

    Raises:
        UncalibratedError: nothing was, and the request cannot do without.
    """
    found = calibrations.find(service.fingerprint(version))
    kind, ends = prepared.question.type, bool(prepared.ends)
    fitted = None if found is None else found.find(kind, ends=ends)
    if found is not None and fitted is not None:
        fitted.threshold(body.level)
        return found, fitted
    needing = {
        "require_calibration": body.require_calibration,
        "level": body.level is not None,
        "domain": body.domain is not None,
    }
    if any(needing.values()):
        field = next(name for name, needs in needing.items() if needs)
        raise UncalibratedError(
            f"{field}: no calibration was fitted for version {version} of this model and questions of type {kind}"
            f"{', some answers of which begin others' if ends else ''}; fit one with `python -m builderbrain.eval "
            "fit-decisions QUESTIONS --save FILE` and serve with --decision-calibration FILE, or leave the field out",
            field=field,
        )
    return None


def _answer(
    service: Service, calibrations: Calibrations, policy: DeferralPolicy, body: DecisionRequest, asked: Asked
) -> dict[str, Any]:
    question, probabilities = asked.prepared.question, asked.probabilities
    fitted = _calibration(service, calibrations, body, asked.prepared, asked.scores.weight_version)
    # Calibrating keeps the order but for ties, and among equals the first one given is decided for.
    best = int(np.argmax(probabilities))
    told: dict[str, Any] | None = None
    reason: str | None = None
    conforming: list[str] | None = None
    if fitted is not None:
        calibration, mapped = fitted
        probabilities = mapped.calibrate(probabilities)
        threshold = mapped.threshold(body.level)
        places = threshold.conforming(probabilities)
        told = {"version": calibration.version, "fitted_on": dict(calibration.fitted_on), "level": threshold.level}
        conforming = [question.labels()[place] for place in places]
        if len(places) != 1:
            which = f"{len(places)} answers may be right ({', '.join(conforming[:8])})" if conforming else "no answer conforms"
            reason = f"at the error level {threshold.level:g} {which}; one alone would be decided for"
    verdict: Deferral | None = None
    if body.domain is not None:
        sure, version = float(probabilities[best]), asked.scores.weight_version
        verdict = policy.judge(body.domain + DECISION_SUFFIX, sure, weight_version=version)
        service.telemetry.deferred(verdict)
        reason = reason or verdict.reason
    listed = [{"value": value, "probability": float(one)} for value, one in zip(question.values(), probabilities, strict=True)]
    common = {
        "name": question.name,
        "decision": None if reason else question.values()[best],
        "confidence": float(probabilities[best]),
        "abstained": reason is not None,
        "refusal": reason,
        "calibration": told,
        "conforming": conforming,
        "deferral": None if verdict is None else verdict.to_json(),
        "offered": None if reason is None else _offered(question, best, conforming, verdict),
        "allowed_mass": asked.allowed_mass,
        "weight_version": asked.scores.weight_version,
    }
    if reason is not None:
        return {"type": "refusal", **common, "probabilities": listed}
    if question.type == "predicate":
        return {"type": "predicate", **common, "probability": float(probabilities[0]), "probabilities": listed}
    if question.type == "choice":
        return {"type": "choice", **common, "choice": question.values()[best], "probabilities": listed}
    levels = [
        {"label": label, "value": place, "probability": float(one)}
        for place, (label, one) in enumerate(zip(question.labels(), probabilities, strict=True))
    ]
    score = float(probabilities @ np.arange(len(probabilities)))
    return {"type": "score", **common, "score": score, "probabilities": levels}


def _offered(question: Question, best: int, conforming: list[str] | None, verdict: Deferral | None) -> str:
    """What a person may be asked instead: what the domain offers, and the answers that may be right where none does."""
    labels = question.labels()
    offer = "alternatives" if verdict is None or verdict.offer is None else verdict.offer
    return said(
        offer,
        asked=shown(question.instructions),
        understood=[labels[best]],
        missing=[],
        alternatives=conforming or labels,
    ).replace("Nothing was done", "Nothing was decided", 1)
