"""The request body of `/v1/responses`, and what its items say."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from builderbrain.grammar.base import Constraint
from builderbrain.serve.beam_fields import BeamFields
from builderbrain.serve.fields import MAX_NAME, RequestModel, refusal
from builderbrain.serve.requests import Extensions, SamplingRequest
from builderbrain.serve.said import PastCall, Said
from builderbrain.serve.sampling_fields import ScheduleField
from builderbrain.serve.service import json_text
from builderbrain.serve.tool_requests import MAX_TOOLS, ChoiceMode, FunctionDefinition, FunctionName, refuse_other_tools
from builderbrain.serve.toolbox import Choice, Toolbox, make_toolbox

MAX_ITEMS = 1024
MAX_METADATA = 16
FORMAT_FIELD = "text.format"
_NOT_STORED = "responses are not stored here: send the earlier items in input again"
_ONLY_IN_CHAT = (
    "stop", "stop_token_ids", "include_stop_str_in_output", "min_tokens", "ignore_eos", "logit_bias", "structured_outputs",
    "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", *BeamFields.model_fields,
)  # fmt: skip
_FIELDS_OF = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
}


class ContentPart(RequestModel):
    """One piece of an item's content."""

    type: Literal["input_text", "output_text"]
    text: str
    ignored_fields: ClassVar = frozenset({"annotations", "logprobs"})


class InputItem(RequestModel):
    """One item of `input`: a message, a call of a function, or its output. An item of an earlier `output` is one as it is."""

    type: Literal["message", "function_call", "function_call_output"] = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | Annotated[list[ContentPart], Field(fail_fast=True)] | None = None
    call_id: str | None = Field(default=None, min_length=1, max_length=256)
    name: FunctionName | None = None
    arguments: str | None = None
    output: str | Annotated[list[ContentPart], Field(fail_fast=True)] | None = None
    ignored_fields: ClassVar = frozenset({"id", "status"})

    @model_validator(mode="after")
    def _its_type_says_what_is_there(self) -> InputItem:
        wanted = _FIELDS_OF[self.type]
        for name in ("role", "content", "call_id", "name", "arguments", "output"):
            if (getattr(self, name) is not None) != (name in wanted):
                advice = "is required" if name in wanted else "has no place"
                raise refusal(name, f"{name} {advice} in an item of type {self.type}")
        return self


class FunctionTool(FunctionDefinition):
    """One entry of `tools`, which is flat here."""

    type: Literal["function"]
    _its_type = model_validator(mode="before")(refuse_other_tools)


class FunctionToolReference(RequestModel):
    """A tool by its name."""

    type: Literal["function"]
    name: FunctionName


class FunctionToolChoice(RequestModel):
    """`tool_choice` where it is an object: one function, or some."""

    type: Literal["function", "allowed_tools"]
    name: FunctionName | None = None
    mode: Literal["auto", "required"] | None = None
    tools: Annotated[list[FunctionToolReference], Field(fail_fast=True)] | None = Field(
        default=None, min_length=1, max_length=MAX_TOOLS
    )

    @model_validator(mode="after")
    def _its_type_says_what_is_there(self) -> FunctionToolChoice:
        for name in ("name", "mode", "tools"):
            if (getattr(self, name) is not None) != ((name == "name") == (self.type == "function")):
                raise refusal(name, "name goes with type function; mode and tools go with type allowed_tools")
        return self

    def choice(self) -> Choice:
        """What it asks for."""
        if self.name is not None:
            return Choice(mode="required", names=(self.name,), one=True, place="tool_choice.name")
        names = tuple(tool.name for tool in self.tools or ())
        return Choice(mode=self.mode or "auto", names=names, place="tool_choice.tools")


class TextFormat(RequestModel):
    """`text.format`: the fields of chat's `response_format`, flat."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = Field(default=None, min_length=1, max_length=64)
    schema_: dict[str, Any] | bool | None = Field(default=None, alias="schema")
    description: str | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _schema_goes_with_its_type(self) -> TextFormat:
        if (self.type == "json_schema") != (self.schema_ is not None):
            raise refusal("schema", "schema must be given with type json_schema, and only then")
        return self

    def constraint(self) -> Constraint | None:
        """What holds the text, if anything does."""
        if self.type == "json_object":
            return Constraint(kind="json_object", source="{}")
        if self.schema_ is None:
            return None
        return Constraint(kind="json_schema", source=json_text(self.schema_, f"{FORMAT_FIELD}.schema"))


class TextSettings(RequestModel):
    """`text`."""

    format: TextFormat | None = None
    refused_fields: ClassVar = {"verbosity": "ask for it in instructions"}
    neutral_values: ClassVar = {"verbosity": ("medium",)}


class ObfuscationOptions(RequestModel):
    """`stream_options`; usage always comes with the last event."""

    ignored_fields: ClassVar = frozenset({"include_obfuscation"})


class ResponsesRequest(RequestModel):
    """`POST /v1/responses`. `seed`, `temperature_schedule` and `builderbrain` are extensions."""

    model: str | None = Field(default=None, max_length=MAX_NAME)
    input: str | Annotated[list[InputItem], Field(fail_fast=True)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1, le=1 << 24)
    temperature: float | None = Field(default=None, ge=0, le=2)
    temperature_schedule: ScheduleField | None = None
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(1 << 63), lt=1 << 63)
    tools: Annotated[list[FunctionTool], Field(fail_fast=True)] | None = Field(default=None, max_length=MAX_TOOLS)
    tool_choice: ChoiceMode | FunctionToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextSettings | None = None
    stream: bool | None = None
    stream_options: ObfuscationOptions | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=MAX_METADATA)
    builderbrain: Extensions | None = None
    ignored_fields: ClassVar = frozenset(
        {"user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"}
    )
    refused_fields: ClassVar = {
        "previous_response_id": _NOT_STORED,
        "conversation": _NOT_STORED,
        "store": "responses are not stored here: send false, or leave it out",
        "background": "wait for the reply, or stream it",
        "include": "remove it; for logprobs use /v1/chat/completions",
        "top_logprobs": "use /v1/chat/completions with logprobs",
        "max_tool_calls": "send parallel_tool_calls: false for one call",
        "prompt": "send the text as input and instructions",
        "reasoning": "remove it",
        "truncation": "send disabled; what does not fit the context is refused",
        "context_management": "send the items that matter",
        "moderation": "remove it",
        "logprobs": "use /v1/chat/completions",
        "n": "ask several times, or use /v1/chat/completions",
        **dict.fromkeys(_ONLY_IN_CHAT, "use /v1/chat/completions"),
        "response_format": "use text.format",
    }
    neutral_values: ClassVar = {"truncation": ("disabled",), "include": (["reasoning.encrypted_content"],), "n": (1,)}
    removed_fields: ClassVar = {
        "messages": "use input",
        "max_tokens": "use max_output_tokens",
        "max_completion_tokens": "use max_output_tokens",
    }

    @field_validator("metadata", mode="before")
    @classmethod
    def _bounded_metadata(cls, metadata: Any) -> Any:
        # A dictionary does not end at its first wrong value as lists do, so that its length is looked at first.
        if isinstance(metadata, dict) and len(metadata) > MAX_METADATA:
            raise PydanticCustomError("metadata", f"expected at most {MAX_METADATA} entries, got {len(metadata)}")
        return metadata

    @model_validator(mode="after")
    def _bounded_input(self) -> ResponsesRequest:
        if isinstance(self.input, list) and not 1 <= len(self.input) <= MAX_ITEMS:
            raise refusal("input", f"expected text or 1 to {MAX_ITEMS} items, got {len(self.input)}")
        if self.temperature is not None and self.temperature_schedule is not None:
            raise refusal("temperature_schedule", "give temperature or temperature_schedule, not both")
        return self

    def sampling(self) -> SamplingRequest:
        """How to draw tokens."""
        return SamplingRequest(
            temperature=self.temperature,
            temperature_schedule=self.temperature_schedule,
            top_p=self.top_p,
            seed=self.seed,
            builderbrain=self.builderbrain,
        )

    def format(self) -> TextFormat:
        """What the text is to be."""
        return (self.text and self.text.format) or TextFormat(type="text")

    def toolbox(self) -> Toolbox | None:
        """The tools that may be called; None when there are none.

        Raises:
            InvalidRequestError: the tools or the choice among them.
        """
        functions = [tool.function(f"tools.{index}") for index, tool in enumerate(self.tools or ())]
        asked = self.tool_choice
        choice = asked.choice() if isinstance(asked, FunctionToolChoice) else Choice(mode=asked or "auto")
        return make_toolbox(functions, choice, parallel=self.parallel_tool_calls is not False)

    def said(self) -> tuple[Said, ...]:
        """The conversation. Calls belong to the assistant's message before them."""
        said = [Said(role="system", text=self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return (*said, Said(role="user", text=self.input))
        for index, item in enumerate(self.input):
            place = f"input.{index}"
            if item.type == "function_call_output":
                said.append(Said(role="tool", text=_text(item.output), answers=item.call_id, place=f"{place}.call_id"))
            elif item.type == "function_call":
                call = PastCall(
                    id=item.call_id or "", name=item.name or "", arguments=item.arguments or "", place=f"{place}.arguments"
                )
                before = said.pop() if said and said[-1].role == "assistant" else Said(role="assistant", text="")
                said.append(Said(role="assistant", text=before.text, calls=(*before.calls, call)))
            else:
                role = "system" if item.role == "developer" else item.role or "user"
                said.append(Said(role=role, text=_text(item.content)))
        return tuple(said)


def _text(content: str | list[ContentPart] | None) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content or ())
