"""A model that says what a test wants, so that the way from a goal to its answer can be tested without a trained rail."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

import torch
from torch import Tensor

from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts
from builderbrain.serve.service import Service
from tests.hosts.tiny_models import END_TOKEN
from tests.serve.running import make_service


class _State:
    def __init__(self, script: Sequence[int], vocab_size: int) -> None:
        self._script = list(script)
        self._vocab_size = vocab_size
        self._position = 0

    ready = True
    reused = 0

    def logits(self) -> Tensor:
        logits = torch.zeros(self._vocab_size)
        logits[self._script[min(self._position, len(self._script) - 1)]] = 30.0
        return logits

    def append(self, token: int) -> None:
        self._position += 1

    def fork(self) -> _State:
        return copy(self)

    def close(self) -> None:
        pass


class ScriptedModel:
    """A `TokenModel` that follows a text, then ends; or repeats its last token for ever."""

    def __init__(self, like: Service, text: str, *, ends: bool = True, weight_version: str = "script-1") -> None:
        self.tokenizer = like.backend.tokenizer
        self.eos_token_id = self.tokenizer.eos_token_id
        self.vocab_size = like.backend.vocab_size
        self.max_length = like.backend.max_length
        self.weight_version = weight_version
        self._script = self.tokenizer.encode(text) + ([self.eos_token_id] if ends else [])

    def start(self, prompt_tokens: Sequence[int]) -> _State:
        return _State(self._script, self.vocab_size)


def scripted_service(text: str, *, ends: bool = True) -> Service:
    """A service whose one model answers everything with `text`."""
    service = make_service()
    backend = ModelBackend(
        {"script": ScriptedModel(service, text, ends=ends)},
        root="script",
        mask_engine=service.backend.mask_engine,
        facts=TokenizerFacts(special_tokens={END_TOKEN: 0}, prefix=()),
        description="script",
    )
    return replace(service, backend=backend)
