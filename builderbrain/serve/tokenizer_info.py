"""`GET /tokenizer_info`, in vLLM's shape: the tokenizer's own configuration, so that a client can build the same one.

What names files of this machine is left out, and so is the chat template of the model's folder, which is never rendered here.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.serve.openapi import described
from builderbrain.serve.operation_replies import TokenizerInfoReply
from builderbrain.serve.replies import json_reply
from builderbrain.serve.service import Service

_LEFT_OUT = ("chat_template", "name_or_path", "cache_dir", "auto_map", "is_local", "local_files_only")
_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def tokenizer_info_router(service: Service) -> APIRouter:
    """The route over one service."""
    router = APIRouter()

    @router.get("/tokenizer_info")
    @described("The tokenizer's configuration.", reply=TokenizerInfoReply)
    async def tokenizer_info() -> Response:
        return json_reply(describe_tokenizer(service))

    return router


def describe_tokenizer(service: Service) -> dict[str, Any]:
    """The configuration. `builderbrain.chat_template` names the template of the server's own that chats go through."""
    backend = service.backend
    configuration: dict[str, Any] = {}
    tokenizer = backend.tokenizer
    if isinstance(tokenizer, HuggingFaceTokenizer):
        kept = tokenizer.backend.init_kwargs.items()
        configuration = {name: plain(value) for name, value in kept if not name.endswith("_file") and name not in _LEFT_OUT}
        configuration |= {name: plain(getattr(tokenizer.backend, name)) for name in _SPECIAL}
        configuration["tokenizer_class"] = type(tokenizer.backend).__name__
    else:
        configuration["tokenizer_class"] = type(tokenizer).__name__
    configuration["model_max_length"] = backend.max_length
    configuration["vocab_size"] = tokenizer.vocab_size
    configuration["builderbrain"] = {"chat_template": service.template.name, "prefix": list(backend.prefix)}
    return configuration


def plain(value: Any) -> Any:
    """JSON values of a tokenizer's configuration; a token that carries flags becomes an object with them."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    flags = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    if all(hasattr(value, flag) for flag in flags):
        return {flag: getattr(value, flag) for flag in flags}
    return str(value)
