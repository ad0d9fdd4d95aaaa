"""What the replies of `POST /v1/decisions` hold, for the OpenAPI document; see `reply_models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from builderbrain.serve.reply_models import DeferralReply
from builderbrain.serve.responses_replies import ItemUsage


class OptionProbability(BaseModel):
    """An answer that was allowed, and how probable it is among them."""

    value: str | bool
    probability: float


class LevelProbability(BaseModel):
    """A step of a scale; `value` counts from the lowest, which is 0."""

    label: str
    value: int
    probability: float


class CalibrationReply(BaseModel):
    """What the probabilities went through."""

    version: str
    fitted_on: dict[str, Any]
    level: float


class DecisionAnswer(BaseModel):
    """What all answers hold. Without a calibration the probabilities are the model's own, and nothing is refused. A refusal
    has `offered`, what a person may be asked instead; `deferral` is there where the request named a domain."""

    name: str | None
    decision: str | bool | None
    confidence: float
    abstained: bool
    refusal: str | None
    calibration: CalibrationReply | None
    conforming: list[str] | None
    deferral: DeferralReply | None
    offered: str | None
    allowed_mass: float
    weight_version: str


class RefusalAnswer(DecisionAnswer):
    """A question whose answer is not sure enough."""

    type: Literal["refusal"]
    probabilities: list[OptionProbability]


class PredicateAnswer(DecisionAnswer):
    """Yes or no; `probability` is that of yes."""

    type: Literal["predicate"]
    probability: float
    probabilities: list[OptionProbability]


class ChoiceAnswer(DecisionAnswer):
    """One of the options."""

    type: Literal["choice"]
    choice: str | bool
    probabilities: list[OptionProbability]


class ScoreAnswer(DecisionAnswer):
    """A step of a scale; `score` is the mean over all of them."""

    type: Literal["score"]
    score: float
    probabilities: list[LevelProbability]


class DecisionReply(BaseModel):
    """The answers, in the order of the questions."""

    id: str
    object: Literal["decision"]
    created: int
    model: str
    system_fingerprint: str
    answers: list[RefusalAnswer | PredicateAnswer | ChoiceAnswer | ScoreAnswer]
    usage: ItemUsage
