"""The request bodies of chat and completions, field by field, with their bounds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from builderbrain.serve.beam_fields import BeamFields
from builderbrain.serve.fields import MAX_NAME, RequestModel, Texts, refusal
from builderbrain.serve.said import PastCall, Said
from builderbrain.serve.sampling_fields import (
    DEFAULT_ENERGY_SCALE,
    MAX_ENERGY_SCALE,
    Enforcement,
    LogitBias,
    ScheduleField,
    StopTokens,
)
from builderbrain.serve.tool_requests import MAX_TOOLS, CalledTool, ChoiceMode, Tool, ToolChoice, offered
from builderbrain.serve.toolbox import Choice, Toolbox

MAX_OUTPUTS = 16
MAX_PROMPTS = 64
MAX_ALTERNATIVES = 20
MAX_STOPS = 16
MAX_STOP_LENGTH = 256

TokenIds = Annotated[list[int], Field(fail_fast=True)]
StopString = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]

_STRUCTURED = "use structured_outputs or response_format"
_REMOVED = {
    "guided_json": 'use structured_outputs {"json": SCHEMA} or response_format json_schema',
    "guided_regex": 'use structured_outputs {"regex": PATTERN}',
    "guided_choice": 'use structured_outputs {"choice": [TEXT, ...]}',
    "guided_grammar": 'use structured_outputs {"grammar": EBNF}',
    "guided_decoding_backend": f"the server chooses the engine; {_STRUCTURED}",
    "guided_whitespace_pattern": f"whitespace is fixed by the grammar; {_STRUCTURED}",
    "guided_json_object": 'use response_format {"type": "json_object"}',
    "structural_tag": 'use structured_outputs {"structural_tag": TAG} or response_format structural_tag',
    "grammar": 'use structured_outputs {"grammar": EBNF}',
    "regex": 'use structured_outputs {"regex": PATTERN}',
    "json_schema": 'use structured_outputs {"json": SCHEMA} or response_format json_schema',
}
_IGNORED = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "request_id"})
_NOT_SERVED = {
    "best_of": "use n and choose among the choices, or use_beam_search",
    "prompt_logprobs": "use /v1/completions with echo and logprobs",
    "chat_template": "templates from requests are never rendered",
    "chat_template_kwargs": "templates from requests are never rendered",
}


class StreamOptions(RequestModel):
    """What a stream carries beside the text."""

    include_usage: bool = False
    refused_fields: ClassVar = {"continuous_usage_stats": "usage comes once, in the last chunk"}
    ignored_fields: ClassVar = frozenset({"include_obfuscation"})


class JsonSchemaFormat(RequestModel):
    """The inner object of `response_format` json_schema. `strict` changes nothing: the mask is always hard here."""

    name: str = Field(min_length=1, max_length=64)
    schema_: dict[str, Any] | bool = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(RequestModel):
    """OpenAI's `response_format`."""

    type: Literal["text", "json_object", "json_schema", "structural_tag"]
    json_schema: JsonSchemaFormat | None = None
    format: dict[str, Any] | None = None
    structures: list[Any] | None = None
    triggers: list[Any] | None = None

    @model_validator(mode="after")
    def _schema_goes_with_its_type(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise refusal("json_schema", "json_schema must be given with type json_schema, and only then")
        given = [name for name in ("format", "structures", "triggers") if getattr(self, name) is not None]
        if self.type != "structural_tag" and given:
            raise refusal(given[0], f"{given[0]} must be given with type structural_tag, and only then")
        if self.type == "structural_tag" and not given:
            raise refusal("format", "expected the format of the structural tag, got none; send triggered_tags, for example")
        return self

    def structural_tag(self) -> dict[str, Any]:
        """The source of the constraint."""
        fields = {"format": self.format, "structures": self.structures, "triggers": self.triggers}
        return {"type": "structural_tag", **{name: value for name, value in fields.items() if value is not None}}


class StructuredOutputs(RequestModel):
    """vLLM's `structured_outputs`: exactly one constraint.

    With `enforcement` soft, `energy_scale` nats are taken from the logits of illegal tokens, and what comes of it is reported.
    """

    json_: dict[str, Any] | bool | str | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: Texts | None = Field(default=None, min_length=1)
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: dict[str, Any] | str | None = None
    enforcement: Enforcement = "hard"
    energy_scale: float | None = Field(default=None, ge=0, le=MAX_ENERGY_SCALE)
    refused_fields: ClassVar = {
        "disable_fallback": "there is no fallback to disable",
        "disable_any_whitespace": "whitespace is fixed by the grammar",
        "whitespace_pattern": "whitespace is fixed by the grammar",
    }

    @model_validator(mode="after")
    def _exactly_one(self) -> StructuredOutputs:
        given = [name for name in ("json_", "regex", "choice", "grammar", "structural_tag") if getattr(self, name) is not None]
        if len(given) + (self.json_object is True) != 1:
            got = ", ".join(name.rstrip("_") for name in given) + (", json_object" if self.json_object and given else "")
            raise PydanticCustomError(
                "one_constraint",
                "expected exactly one of json, regex, choice, grammar, structural_tag and json_object, got {got}",
                {"got": got or "none"},
            )
        if self.energy_scale is not None and self.enforcement != "soft":
            raise refusal("energy_scale", "energy_scale needs enforcement: soft; hard enforcement forbids illegal tokens")
        return self

    def energy(self) -> float | None:
        """What is taken from the logits of illegal tokens, in nats; None where they are forbidden."""
        if self.enforcement == "hard":
            return None
        return DEFAULT_ENERGY_SCALE if self.energy_scale is None else self.energy_scale


class Extensions(RequestModel):
    """What is asked of this server beyond OpenAI's fields. `token_details`: say of each token how it came about."""

    token_details: bool = False


class SamplingRequest(BeamFields):
    """What chat and completions share."""

    model: str | None = Field(default=None, max_length=MAX_NAME)
    max_tokens: int | None = Field(default=None, ge=0, le=1 << 24)
    temperature: float | None = Field(default=None, ge=0, le=2)
    temperature_schedule: ScheduleField | None = None
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=1 << 24)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: LogitBias | None = None
    n: int | None = Field(default=None, ge=1, le=MAX_OUTPUTS)
    seed: int | None = Field(default=None, ge=-(1 << 63), lt=1 << 63)
    stop: str | Annotated[list[StopString], Field(fail_fast=True)] | None = None
    stop_token_ids: StopTokens | None = None
    include_stop_str_in_output: bool | None = None
    min_tokens: int | None = Field(default=None, ge=0, le=1 << 24)
    ignore_eos: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    builderbrain: Extensions | None = None

    ignored_fields: ClassVar = _IGNORED
    refused_fields: ClassVar = _NOT_SERVED
    removed_fields: ClassVar = _REMOVED

    @field_validator("stop")
    @classmethod
    def _bounded_stops(cls, stop: str | list[str] | None) -> list[str] | None:
        stops = [stop] if isinstance(stop, str) else stop
        if stops is None:
            return None
        if len(stops) > MAX_STOPS or not all(0 < len(text) <= MAX_STOP_LENGTH for text in stops):
            raise PydanticCustomError("stop", f"expected at most {MAX_STOPS} strings of 1 to {MAX_STOP_LENGTH} characters")
        return stops

    @model_validator(mode="after")
    def _consistent(self) -> SamplingRequest:
        if self.stream_options is not None and not self.stream:
            raise refusal("stream_options", "stream_options needs stream: true")
        constrained = self.response_format is not None and self.response_format.type != "text"
        if constrained and self.structured_outputs is not None:
            raise refusal("structured_outputs", "give response_format or structured_outputs, not both")
        if self.temperature is not None and self.temperature_schedule is not None:
            raise refusal("temperature_schedule", "give temperature or temperature_schedule, not both")
        if self.ignore_eos and (constrained or self.structured_outputs is not None):
            raise refusal("ignore_eos", "an output under a constraint ends where the constraint does; remove one of them")
        self.check_beams(self.n)
        return self

    def format_field(self) -> str:
        """The field that a constraint stands in, where there is one."""
        return "response_format" if self.structured_outputs is None else "structured_outputs"

    def energy_scale(self) -> float | None:
        """The soft energy of the request's constraint, in nats; None where it is hard, or there is none."""
        return None if self.structured_outputs is None else self.structured_outputs.energy()


class TextPart(RequestModel):
    """One piece of a message's content."""

    type: Literal["text"]
    text: str


class Message(RequestModel):
    """One turn of a conversation. A tool's is the result of the call that `tool_call_id` names."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Annotated[list[TextPart], Field(fail_fast=True)] | None = None
    tool_calls: Annotated[list[CalledTool], Field(fail_fast=True)] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_call_id: str | None = Field(default=None, max_length=256)
    ignored_fields: ClassVar = frozenset({"name"})
    refused_fields: ClassVar = {
        "function_call": "use tool_calls",
        "audio": "send text",
        "refusal": "put the text into content",
        "annotations": "put the text into content",
        "reasoning": "put the text into content",
    }

    @model_validator(mode="after")
    def _only_an_assistant_may_have_said_nothing(self) -> Message:
        if self.content is None and self.role != "assistant":
            raise refusal("content", f"expected text from the role {self.role}, got none")
        if self.tool_calls and self.role != "assistant":
            raise refusal("tool_calls", f"expected tool_calls from the role assistant alone, got them from {self.role}")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise refusal("tool_call_id", "tool_call_id must be given with the role tool, and only then")
        return self

    def text(self) -> str:
        """The content as one string; empty for null."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or ())

    def said(self, index: int) -> Said:
        """The message as the `index`-th of a conversation."""
        place = f"messages.{index}"
        calls = [
            PastCall(
                id=call.id,
                name=call.function.name,
                arguments=call.function.arguments,
                place=f"{place}.tool_calls.{number}.function.arguments",
            )
            for number, call in enumerate(self.tool_calls or ())
        ]
        role = "system" if self.role == "developer" else self.role
        return Said(role=role, text=self.text(), calls=tuple(calls), answers=self.tool_call_id, place=f"{place}.tool_call_id")


class ChatRequest(SamplingRequest):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Message], Field(fail_fast=True)] = Field(min_length=1, max_length=1024)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1 << 24)
    max_tokens: int | None = Field(default=None, ge=1, le=1 << 24)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MAX_ALTERNATIVES)
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: ChoiceMode | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    refused_fields: ClassVar = {
        **_NOT_SERVED,
        "functions": "use tools",
        "function_call": "use tool_choice",
        "echo": "use /v1/completions",
        "audio": "ask for text",
        "modalities": "ask for text",
        "prediction": "remove it",
        "reasoning_effort": "remove it",
        "web_search_options": "remove it",
    }
    neutral_values: ClassVar = {"modalities": (["text"],)}

    @model_validator(mode="after")
    def _alternatives_need_logprobs(self) -> ChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise refusal("top_logprobs", "top_logprobs needs logprobs: true")
        return self

    def toolbox(self) -> Toolbox | None:
        """The tools that may be called; None when there are none.

        Raises:
            InvalidRequestError: the tools or the choice among them.
        """
        asked = self.tool_choice
        choice = asked.choice() if isinstance(asked, ToolChoice) else Choice(mode=asked or "auto")
        return offered(self.tools, choice, parallel=self.parallel_tool_calls is not False)


class CompletionRequest(SamplingRequest):
    """`POST /v1/completions`. A prompt is text, token ids, or a list of either."""

    prompt: str | Texts | TokenIds | Annotated[list[TokenIds], Field(fail_fast=True)]
    echo: bool | None = None
    logprobs: int | None = Field(default=None, ge=0, le=MAX_ALTERNATIVES)
    add_special_tokens: bool = True
    refused_fields: ClassVar = {**_NOT_SERVED, "suffix": "put the text into the prompt"}

    @model_validator(mode="after")
    def _bounded_prompts(self) -> CompletionRequest:
        prompts = self.prompts()
        if not 1 <= len(prompts) <= MAX_PROMPTS:
            raise refusal("prompt", f"expected one to {MAX_PROMPTS} prompts")
        if len(prompts) * (self.n or 1) > MAX_PROMPTS:
            raise refusal("n", f"prompts times n must be at most {MAX_PROMPTS}")
        if self.max_tokens == 0 and not self.echo:
            raise refusal("max_tokens", "max_tokens may be 0 only with echo")
        if self.max_tokens == 0 and self.use_beam_search:
            raise refusal("max_tokens", "max_tokens may be 0 only without use_beam_search")
        if self.echo and self.stream:
            raise refusal("echo", "echo cannot be streamed")
        return self

    def prompts(self) -> list[str] | list[list[int]]:
        """The prompts as a list of texts or a list of token lists."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [self.prompt]
        return cast("list[str] | list[list[int]]", self.prompt)
