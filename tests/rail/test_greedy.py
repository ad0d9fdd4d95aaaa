"""Many prompts decoded at once give what each gives alone."""

from __future__ import annotations

import math

import pytest
import torch

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.decode.host_model import HostModel
from builderbrain.errors import ContextLengthError
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.config import RailConfig
from builderbrain.rail.greedy import decode_greedily, decode_with_guesses
from builderbrain.rail.model import RailModel
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from tests.hosts import tiny_models

PROMPTS = ("one", "two", "a prompt", "another prompt", "one", "the longest of all these prompts", "six")


@pytest.fixture
def host() -> HuggingFaceHost:
    return HuggingFaceHost(tiny_models.llama(), HuggingFaceTokenizer(tiny_models.tiny_tokenizer()), name="tiny")


@pytest.fixture
def grammar(host: HuggingFaceHost) -> CompiledConstraint:
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    return engine.compile(Constraint(kind="grammar", source='root ::= ("ab" | "cd" | "e")+ ("gh" | "i")'), trusted=True)


def rail_for(host: HuggingFaceHost) -> BuilderRail:
    torch.manual_seed(0)
    config = RailConfig(
        base_name=host.name, d_model=host.d_model, vocab_size=host.vocab_size, tap_points=host.tap_points, width=16, head_size=8
    )
    rail = BuilderRail(config).eval()
    with torch.no_grad():
        for parameter in rail.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    rail.gates.set_budget(1.0)
    return rail


@pytest.mark.parametrize("with_rail", [False, True])
def test_every_prompt_gets_the_tokens_it_gets_alone(
    with_rail: bool, host: HuggingFaceHost, grammar: CompiledConstraint
) -> None:
    rail = rail_for(host) if with_rail else None
    model = HostModel(host) if rail is None else RailModel(host, rail)
    prompts = [host.tokenizer.encode(text) for text in PROMPTS]
    done: list[int] = []
    texts = decode_greedily(Pair(host, rail), prompts, grammar, max_tokens=9, on_rows=done.append)
    assert sum(done) == len(prompts)
    for prompt, text in zip(prompts, texts, strict=True):
        alone = generate(model, prompt, SamplingParameters(max_tokens=9, temperature=0.0), grammar)
        assert text.tokens == alone.tokens
        if alone.finish_reason == "stop":
            assert text.finished
            assert len(text.logprobs) == len(text.tokens) + 1
        else:
            assert not text.finished
        assert all(logprob <= 0 for logprob in text.logprobs)
        assert all(margin >= 0 for margin in text.margins)
    assert len({text.tokens for text in texts}) > 1, "all prompts are answered alike: choose others"


def test_guesses_change_nothing_but_the_work(host: HuggingFaceHost, grammar: CompiledConstraint) -> None:
    pair = Pair(host, rail_for(host))
    prompts = [host.tokenizer.encode(text) for text in PROMPTS]
    texts = decode_greedily(pair, prompts, grammar, max_tokens=40)
    end = host.tokenizer.eos_token_id
    assert any(text.finished for text in texts)
    guesses = [[*text.tokens, end] if text.finished else [*host.tokenizer.encode("abi"), end] for text in texts]
    guesses[0] = [*host.tokenizer.encode("egh"), end]
    again = decode_with_guesses(pair, prompts, guesses, grammar, max_tokens=40)
    for one, other in zip(texts, again, strict=True):
        assert (one.tokens, one.finished) == (other.tokens, other.finished)
        assert other.logprobs == pytest.approx(one.logprobs, abs=1e-4)
        assert other.margins == pytest.approx(one.margins, abs=1e-3)


def test_what_a_grammar_forces_is_certain(host: HuggingFaceHost) -> None:
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    forced = engine.compile(Constraint(kind="grammar", source='root ::= "a"'), trusted=True)
    (text,) = decode_greedily(Pair(host, None), [host.tokenizer.encode("one")], forced, max_tokens=5)
    assert text.finished
    assert text.logprobs == (0.0, 0.0)
    assert text.margins == (math.inf, math.inf)


def test_a_prompt_without_room_is_refused(host: HuggingFaceHost, grammar: CompiledConstraint) -> None:
    with pytest.raises(ContextLengthError, match=f"fewer than {host.max_length} tokens"):
        decode_greedily(Pair(host, None), [[1] * host.max_length], grammar, max_tokens=3)
