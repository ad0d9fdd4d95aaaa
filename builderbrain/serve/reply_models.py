"""What the replies hold, for the OpenAPI document. The server builds its replies without them; tests hold the two together.

A field that is not always there has a default. Fields that are not listed may come in later versions.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """`param` names the field at fault, `code` the reason in a stable way; the rest is how it is classed (docs/errors.md)."""

    message: str
    type: str
    param: str | None
    code: str
    error_class: str
    severity: str
    recovery: str


class ErrorReply(BaseModel):
    """Every refusal."""

    error: ErrorDetail


class PromptTokensDetails(BaseModel):
    """`cached_tokens` were taken over from earlier prompts."""

    cached_tokens: int


class Usage(BaseModel):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class WeightVersion(BaseModel):
    """The weights that wrote tokens `start` to `end`, not included."""

    version: str
    start: int
    end: int


class SoftOutputReport(BaseModel):
    """How one output fared under soft enforcement. `left_at` is the position of its first illegal token, `mask_empty_at` the
    one where no token was legal; null where there is none. `illegal_tokens` counts from `left_at` on."""

    valid: bool | None
    illegal_tokens: int
    left_at: int | None
    mask_empty_at: int | None


class ConstraintReport(BaseModel):
    """What was enforced. `valid` is null when an output was cut, and false only with `enforcement` soft, which also has
    `energy_scale` and `outputs`; `declared` lists what the mask left to the validator."""

    kind: str
    engine: str
    exact: bool
    valid: bool | None
    declared: list[str]
    enforcement: Literal["hard", "soft"]
    energy_scale: float | None = None
    outputs: list[SoftOutputReport] = []


class BeamReport(BaseModel):
    """Of a beam search: the score of each choice, in their order."""

    scores: list[float]


class Extension(BaseModel):
    """The `builderbrain` object of a reply."""

    constraint: ConstraintReport | None
    beam_search: BeamReport | None = None


class TokenDetailsReply(BaseModel):
    """How a token came about. A forced one was the constraint's: the model was not asked, and the rest is null."""

    token: str
    token_id: int
    forced: bool
    kl: float | None
    grammar_energy: float | None
    alpha: float | None
    skill: str | None
    skill_id: int | None


class ChoiceExtension(BaseModel):
    """The `builderbrain` object of a choice, where `token_details` were asked for."""

    tokens: list[TokenDetailsReply]


class Choice(BaseModel):
    """One output."""

    index: int
    weight_versions: list[WeightVersion]
    builderbrain: ChoiceExtension | None = None


class Envelope(BaseModel):
    """What replies with outputs share."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    usage: Usage
    builderbrain: Extension


class ReplyFunction(BaseModel):
    """A function's name and the JSON text of its arguments."""

    name: str
    arguments: str


class ReplyToolCall(BaseModel):
    """A call of a tool, whole."""

    id: str
    type: Literal["function"]
    function: ReplyFunction


class ChatReplyMessage(BaseModel):
    """What the model said, and the tools it calls. `content` is null where tools were offered and there is no text."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[ReplyToolCall] = []


class TokenAlternative(BaseModel):
    """A token; `bytes` is null where it is part of a character."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChatTokenLogprob(TokenAlternative):
    """A token of the output with what else might have stood there."""

    top_logprobs: list[TokenAlternative]


class ChatLogprobs(BaseModel):
    """OpenAI's log-probabilities of chat."""

    content: list[ChatTokenLogprob]
    refusal: None


class ChatChoice(Choice):
    """One output of a chat."""

    finish_reason: Literal["stop", "length", "tool_calls"]
    message: ChatReplyMessage
    logprobs: ChatLogprobs | None


class ChatReply(Envelope):
    """The reply of `POST /v1/chat/completions` that is not streamed."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class CompletionLogprobs(BaseModel):
    """OpenAI's log-probabilities of completions; null where nothing precedes a token."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(Choice):
    """One output of a completion."""

    finish_reason: Literal["stop", "length"]
    text: str
    logprobs: CompletionLogprobs | None


class CompletionReply(Envelope):
    """The reply of `POST /v1/completions` that is not streamed."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]


class ModelReply(BaseModel):
    """One served model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    max_model_len: int
    weight_version: str


class ModelsReply(BaseModel):
    """All served models, the default first."""

    object: Literal["list"]
    data: list[ModelReply]


class TokenizeReply(BaseModel):
    """Token ids of a text or a conversation."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class DetokenizeReply(BaseModel):
    """The text of token ids."""

    prompt: str


class FaultReply(BaseModel):
    """One reason to refuse a plan; `step` is null for the plan as a whole."""

    code: str
    step: str | None
    message: str
    remedy: str


class VerdictReply(BaseModel):
    """The planchecker's verdict. `confirm` are the steps that a person must confirm before an accepted plan runs."""

    accepted: bool
    faults: list[FaultReply]
    confirm: list[str] = []


class TraceEntryReply(BaseModel):
    """One step that was run, or skipped."""

    id: str
    skill: str
    args: dict[str, Any]
    ok: bool
    output: dict[str, Any] | None
    seconds: float
    status: str
    error: str | None
    error_code: str | None
    error_class: str | None
    severity: str | None
    recovery: str | None
    age_seconds: float | None


class DisagreementReply(BaseModel):
    """Where a plan and the call graph that was foreseen for it differ."""

    where: str
    planned: str | None
    foreseen: str | None


class DeferralReply(BaseModel):
    """Whether an answer was sure enough. `threshold` is null where no confidence would do, `offer` and `reason` where it was
    answered; `fitted` is false for a starting point; `id` is told to `POST /v1/outcomes`."""

    id: str
    domain: str
    confidence: float
    threshold: float | None
    deferred: bool
    offer: Literal["clarify", "information", "alternatives", "escalate"] | None
    fitted: bool
    reason: str | None
    table: str | None


class LookupReply(BaseModel):
    """Whether the best lookup was worth its cost: utilities of the best act `now`, expected `after` it, and `net` of `cost`."""

    called: bool
    tool: str
    now: float
    after: float
    cost: float
    net: float


class GoalReply(BaseModel):
    """What became of a goal. `plan` is null when the proposal does not parse; `trace` is empty when nothing was run. A deferred
    plan is not run: the answer asks a person; `deferral_off` says why no plan of this domain is deferred here."""

    domain: str
    answer: str
    plan: dict[str, Any] | None
    verdict: VerdictReply
    trace: list[TraceEntryReply]
    weight_version: str
    disagreements: list[DisagreementReply] = []
    repair: dict[str, Any] | None = None
    fallback: list[dict[str, Any]] = []
    execution: dict[str, Any] | None = None
    confirmation: dict[str, Any] | None = None
    breakers: list[dict[str, Any]] = []
    review_required: bool = False
    deferral: DeferralReply | None = None
    deferral_off: str | None = None
    lookup: LookupReply | None = None
    trace_id: str | None = None


class HealthReply(BaseModel):
    """The engine's worker lives."""

    status: Literal["ok"]


class ReadyReply(BaseModel):
    """The server takes work."""

    status: Literal["ready"]
    models: list[str]


class VersionReply(BaseModel):
    """The server's version and the weights of the default model."""

    version: str
    weight_version: str


class IndexReply(BaseModel):
    """What can be asked, as "METHOD path"."""

    name: str
    version: str
    routes: list[str]


class ReloadReply(BaseModel):
    """The version then in service."""

    version: str
