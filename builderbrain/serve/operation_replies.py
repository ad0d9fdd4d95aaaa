"""What the replies to an operator hold, for the OpenAPI document; see `reply_models`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from builderbrain.serve.engine import PauseMode


class VersionRow(BaseModel):
    """A version of the registry: how it stands with the gate, and under which names it is served beside the live one."""

    id: str
    object: Literal["version"]
    live: bool
    parent: str | None
    standing: str
    fault: str | None
    loaded_as: list[str]


class VersionsReply(BaseModel):
    """All versions. `live` is the registry's, `serving` that of the default model."""

    object: Literal["list"]
    live: str | None
    serving: str
    data: list[VersionRow]


class LoadedReply(BaseModel):
    """The name under which a version is served."""

    status: Literal["loaded"]
    model: str
    version: str


class UnloadedReply(BaseModel):
    """A name that takes no new requests; `under_way` counts the outputs of all names that go on."""

    status: Literal["unloaded"]
    model: str
    under_way: int


class MovedReply(BaseModel):
    """The registry's pointer as it is now, what the default model serves, and the names that are served no longer because the
    gate does not pass their versions any more."""

    live: str
    previous: list[str]
    sequence: int
    serving: str
    unloaded: list[str]


class PausedReply(BaseModel):
    """The server advances no output; `waiting` counts those that are held."""

    status: Literal["paused"]
    mode: PauseMode
    waiting: int


class ResumedReply(BaseModel):
    """The server goes on."""

    status: Literal["resumed"]


class IsPausedReply(BaseModel):
    """Whether the server is paused; `mode` is null when it is not."""

    is_paused: bool
    mode: PauseMode | None


class ResetReply(BaseModel):
    """How many pages of the prefix cache were forgotten."""

    status: Literal["reset"]
    pages: int


class WeightPart(BaseModel):
    """The base or the rail of a model; `digest` is of its tensors as they were loaded."""

    part: str
    digest: str
    parameters: int
    dtype: str


class ModelWeights(BaseModel):
    """The weights of a served model; null where they cannot be looked at."""

    model: str
    version: str
    digest: str | None
    parameters: int
    dtype: str | None
    parts: list[WeightPart]


class WeightInfoReply(BaseModel):
    """Which weights are in memory."""

    object: Literal["list"]
    data: list[ModelWeights]


class DifferingTensor(BaseModel):
    """A tensor that is not what it should be; `against` says compared with what."""

    part: str
    tensor: str
    against: Literal["loaded", "registry"]
    expected: str
    found: str


class CheckedWeights(BaseModel):
    """What the check found for a served model."""

    model: str
    version: str
    ok: bool
    compared_with: list[str]
    differing: list[DifferingTensor]


class WeightCheckReply(BaseModel):
    """Whether all weights are what was loaded and published."""

    ok: bool
    data: list[CheckedWeights]


class TokenizerExtension(BaseModel):
    """The template that chats go through, and the tokens that every prompt begins with."""

    chat_template: str
    prefix: list[int]


class TokenizerInfoReply(BaseModel):
    """The tokenizer's own configuration; which further fields there are depends on the tokenizer."""

    model_config = ConfigDict(extra="allow")

    tokenizer_class: str
    model_max_length: int
    vocab_size: int
    builderbrain: TokenizerExtension
