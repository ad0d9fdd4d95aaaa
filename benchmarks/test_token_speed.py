"""One token with the bundled base: the base alone, the base with its rail, and the mask of the plan grammar."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from builderbrain.decode.host_model import HostModel
from builderbrain.decode.model import TokenModel
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts import Host, load_host
from builderbrain.plan import load_grammar
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.model import RailModel

PROMPT = "Goal: search for the promotion gate and then open it\nPlan:\n"
PLAN = 's1=search(pattern="promotion gate")\ns2=read(path=s1.first_path)'
TOKENS = 32
"""Tokens in one round; the figures are for a round."""


@pytest.fixture(scope="module")
def host() -> Host:
    return load_host("builderbrain-nano")


def continue_prompt(model: TokenModel) -> int:
    """Greedy, from the prompt; returns the last token."""
    state = model.start(model.tokenizer.encode(PROMPT))
    token = 0
    for _ in range(TOKENS):
        token = int(state.logits().argmax())
        state.append(token)
    return token


def test_prompt_and_32_tokens_of_the_base(benchmark: Any, host: Host) -> None:
    model = HostModel(host)
    assert 0 <= benchmark(continue_prompt, model) < model.vocab_size


def test_prompt_and_32_tokens_of_base_and_rail(benchmark: Any, host: Host) -> None:
    model = RailModel(host, load_rail(BUNDLED_RAIL))
    assert 0 <= benchmark(continue_prompt, model) < model.vocab_size


def test_masks_along_a_plan(benchmark: Any, host: Host) -> None:
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    compiled = engine.compile(Constraint(kind="grammar", source=load_grammar("repo_assistant")), trusted=True)
    tokens = [*host.tokenizer.encode(PLAN), host.tokenizer.eos_token_id]
    bitmask = torch.empty(-(-host.vocab_size // 32), dtype=torch.int32)

    def along() -> bool:
        matcher = compiled.matcher()
        for token in tokens:
            matcher.fill_mask(bitmask)
            matcher.accept(token)
        return matcher.is_complete()

    assert benchmark(along)
