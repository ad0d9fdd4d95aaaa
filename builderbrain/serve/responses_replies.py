"""What the replies of `POST /v1/responses` hold, for the OpenAPI document; see `reply_models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from builderbrain.serve.reply_models import Extension, WeightVersion


class InputTokensDetails(BaseModel):
    """`cached_tokens` were taken over from earlier prompts."""

    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(BaseModel):
    """No tokens are spent on reasoning that is not shown."""

    reasoning_tokens: int


class ItemUsage(BaseModel):
    """Token counts under the names of the Responses API."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class OutputText(BaseModel):
    """The text of a message."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Any]


class MessageItem(BaseModel):
    """What the model said."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: Literal["completed", "incomplete"]
    content: list[OutputText]


class FunctionCallItem(BaseModel):
    """A function that the model calls, with the JSON text of its arguments; an incomplete one cannot be run."""

    id: str
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    status: Literal["completed", "incomplete"]


class IncompleteDetails(BaseModel):
    """Why an output was cut."""

    reason: Literal["max_output_tokens"]


class ReasoningSettings(BaseModel):
    """Always null."""

    effort: None
    summary: None


class TextSettingsReply(BaseModel):
    """What the text was asked to be."""

    format: dict[str, Any]


class ResponseReply(BaseModel):
    """The reply of `POST /v1/responses` that is not streamed: what was asked, and the items of the output."""

    id: str
    object: Literal["response"]
    created_at: int
    model: str
    system_fingerprint: str
    status: Literal["completed", "incomplete"]
    error: None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    previous_response_id: None
    reasoning: ReasoningSettings
    store: Literal[False]
    temperature: float | None
    temperature_schedule: dict[str, Any] | str | None
    text: TextSettingsReply
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any]
    tools: list[dict[str, Any]]
    top_p: float
    truncation: Literal["disabled"]
    usage: ItemUsage
    output: list[MessageItem | FunctionCallItem]
    weight_versions: list[WeightVersion]
    builderbrain: Extension
