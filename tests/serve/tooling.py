"""A server for tests of tools: models that say what a test wants, and one that says anything, without a base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from builderbrain.decode.model import TokenState
from builderbrain.decode.random_model import RandomModel
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.serve.engine import Engine
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts
from builderbrain.serve.service import Service
from builderbrain.serve.telemetry import Telemetry
from tests.hosts.tiny_models import END_TOKEN, VOCAB_SIZE, tiny_tokenizer
from tests.serve.running import RunningServer, running_server
from tests.serve.scripted import _State

CONTEXT = 4096
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Find text.",
        "parameters": {
            "type": "object",
            "properties": {
                "text": {"type": "string", "maxLength": 12},
                "most": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["text"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
FREE = {"type": "function", "function": {"name": "free-form", "parameters": {"type": "string"}, "strict": False}}


def call(name: str, arguments: str) -> str:
    """A call as a model writes it."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


SEARCH_CALL = call("search", '{"text":"é\\"}{<\U0001f7df","most":3}')
CLOCK_CALL = call("clock", "{}")
SCRIPTS = {
    "words": "It is é late, <tool> and 1 < 2.",
    "call": SEARCH_CALL,
    "text-then-call": f"Let me look. \n\n{SEARCH_CALL}",
    "two": f"{SEARCH_CALL}\n{CLOCK_CALL}",
    "text-then-two": f"Só:\n{CLOCK_CALL}\n{SEARCH_CALL}",
    "almost": "a <tool_cal",
    "spaces": "  \n",
}


@dataclass(frozen=True)
class Script:
    """A `TokenModel` that wants to say a text. Where a mask forbids its next token, the draw is anything allowed."""

    tokenizer: HuggingFaceTokenizer
    text: str
    vocab_size: int = VOCAB_SIZE
    max_length: int = CONTEXT
    weight_version: str = "script-1"

    @property
    def eos_token_id(self) -> int:
        return self.tokenizer.eos_token_id

    def start(self, prompt_tokens: Sequence[int]) -> _State:
        return _State([*self.tokenizer.encode(self.text), self.eos_token_id], self.vocab_size)


@dataclass(frozen=True)
class Begun:
    """A `TokenModel` that begins with a text and goes on at random."""

    random: RandomModel
    text: str
    weight_version: str = "begun-1"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.random, name)

    def start(self, prompt_tokens: Sequence[int]) -> TokenState:
        state, left = self.random.start(prompt_tokens), self.random.tokenizer.encode(self.text)
        drawn = state.logits

        def begun() -> torch.Tensor:
            return torch.zeros(self.random.vocab_size).index_fill(0, torch.tensor(left.pop(0)), 90.0) if left else drawn()

        state.logits = begun  # type: ignore[method-assign]
        return state


@dataclass(frozen=True)
class Broken(Script):
    """Says its text and then has no next token."""

    def start(self, prompt_tokens: Sequence[int]) -> _State:
        state = super().start(prompt_tokens)
        logits = state.logits
        left = [logits] * (len(self.tokenizer.encode(self.text)))

        def until_it_breaks() -> torch.Tensor:
            return left.pop()() if left else torch.full((self.vocab_size,), torch.nan)

        state.logits = until_it_breaks  # type: ignore[method-assign]
        return state


@cache
def _masks() -> tuple[HuggingFaceTokenizer, GrammarEngine]:
    tokenizer = HuggingFaceTokenizer(tiny_tokenizer())
    return tokenizer, GrammarEngine(tokenizer, VOCAB_SIZE)


def tool_service(special_tokens: dict[str, int] | None = None, **scripts: str) -> Service:
    """A service whose models are `random`, the scripts by their names, `begun` (a trigger, then anything) and `broken`."""
    tokenizer, masks = _masks()
    random = RandomModel(tokenizer, VOCAB_SIZE, seed=5, end_bias=3.0, max_length=CONTEXT)
    said: dict[str, Any] = {name: Script(tokenizer, text) for name, text in {**SCRIPTS, **scripts}.items()}
    said |= {"begun": Begun(random, "<tool_call>"), "broken": Broken(tokenizer, "so it")}
    backend = ModelBackend(
        {"random": random, **said},
        root="none",
        mask_engine=masks,
        facts=TokenizerFacts(special_tokens=special_tokens or {END_TOKEN: 0}, prefix=()),
        description="none",
    )
    telemetry = Telemetry("random")
    engine = Engine(max_running=16, max_waiting=64, deadline_seconds=60.0, observer=telemetry)
    return Service(backend=backend, engine=engine, telemetry=telemetry)


@contextmanager
def tool_server(**options: Any) -> Iterator[RunningServer]:
    """`tool_service` behind HTTP."""
    with running_server(tool_service(**options)) as started:
        yield started
