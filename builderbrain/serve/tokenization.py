"""`POST /tokenize` and `/detokenize`, in vLLM's shape."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from builderbrain.errors import UnknownModelError
from builderbrain.serve.conversation import conversation_prompt
from builderbrain.serve.fields import MAX_NAME, RequestModel, read_request, refusal
from builderbrain.serve.openapi import described
from builderbrain.serve.replies import json_reply
from builderbrain.serve.reply_models import DetokenizeReply, TokenizeReply
from builderbrain.serve.requests import Message
from builderbrain.serve.service import Service
from builderbrain.serve.tool_requests import MAX_TOOLS, Tool, offered


class TokenizeRequest(RequestModel):
    """Text or a conversation to turn into token ids."""

    model: str | None = Field(default=None, max_length=MAX_NAME)
    prompt: str | None = None
    messages: Annotated[list[Message], Field(fail_fast=True)] | None = Field(default=None, min_length=1, max_length=1024)
    tools: Annotated[list[Tool], Field(fail_fast=True)] | None = Field(default=None, max_length=MAX_TOOLS)
    add_special_tokens: bool = True
    return_token_strs: bool | None = None

    @model_validator(mode="after")
    def _one_source(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            raise refusal("prompt", "give prompt or messages, one of them")
        if self.tools and self.messages is None:
            raise refusal("tools", "tools go with messages")
        return self


class DetokenizeRequest(RequestModel):
    """Token ids to turn into text."""

    model: str | None = Field(default=None, max_length=MAX_NAME)
    tokens: Annotated[list[Annotated[int, Field(ge=0)]], Field(fail_fast=True)]


def tokenization_router(service: Service) -> APIRouter:
    """The routes over one service."""
    router = APIRouter()

    @router.post("/tokenize")
    @described("Token ids of a text or a conversation.", body=TokenizeRequest, reply=TokenizeReply, raises=(UnknownModelError,))
    async def tokenize(request: Request) -> Response:
        body = await read_request(request, TokenizeRequest)
        service.served(body.model)
        if body.messages is not None:
            said = [message.said(index) for index, message in enumerate(body.messages)]
            tokens = await conversation_prompt(service, said, offered(body.tools), field="messages")
        else:
            prefix = list(service.backend.prefix) if body.add_special_tokens else []
            tokens = prefix + await service.encode(body.prompt or "", field="prompt")
        strings = [service.backend.tokenizer.decode([token]) for token in tokens] if body.return_token_strs else None
        return json_reply(
            {"count": len(tokens), "max_model_len": service.backend.max_length, "tokens": tokens, "token_strs": strings}
        )

    @router.post("/detokenize")
    @described("The text of token ids.", body=DetokenizeRequest, reply=DetokenizeReply, raises=(UnknownModelError,))
    async def detokenize(request: Request) -> Response:
        body = await read_request(request, DetokenizeRequest)
        service.served(body.model)
        if body.tokens:
            service.room(body.tokens, 0, default=None, field="tokens")
        return json_reply({"prompt": service.backend.tokenizer.decode(body.tokens)})

    return router
