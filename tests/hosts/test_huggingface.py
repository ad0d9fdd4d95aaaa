"""Structure that is found or refused, bad input, and several threads on one host."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from builderbrain.errors import BuilderBrainError, ContextLengthError, InvalidRequestError, UnsupportedModelError
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts.tiny_models import VOCAB_SIZE, gpt2, llama, random_tokens, tiny_tokenizer

SMALL: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def host_of(model: PreTrainedModel, **options: Any) -> HuggingFaceHost:
    return HuggingFaceHost(model, HuggingFaceTokenizer(tiny_tokenizer()), name="tiny", **options)


def granite() -> PreTrainedModel:
    from transformers import GraniteConfig, GraniteForCausalLM

    return GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=4.0))


def cohere() -> PreTrainedModel:
    from transformers import CohereConfig, CohereForCausalLM

    return CohereForCausalLM(CohereConfig(**SMALL, logit_scale=0.25))


def gpt_neox() -> PreTrainedModel:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    return GPTNeoXForCausalLM(GPTNeoXConfig(**SMALL))


def opt() -> PreTrainedModel:
    from transformers import OPTConfig, OPTForCausalLM

    sizes: dict[str, Any] = {**SMALL, "ffn_dim": 32, "word_embed_proj_dim": 32}
    return OPTForCausalLM(OPTConfig(**sizes))


def falcon() -> PreTrainedModel:
    from transformers import FalconConfig, FalconForCausalLM

    return FalconForCausalLM(FalconConfig(**{**SMALL, "num_kv_heads": 2}))


@pytest.mark.parametrize(
    ("family", "rule"), [(granite, "divide"), (cohere, "multiply"), (gpt_neox, "none"), (opt, "none"), (falcon, "none")]
)
def test_families_nobody_named_are_found_by_structure(family: Callable[[], PreTrainedModel], rule: str) -> None:
    torch.manual_seed(0)
    host = host_of(family())
    tokens = random_tokens(2, 9)
    states = host.forward(tokens)
    with torch.no_grad():
        own = host.model(input_ids=tokens, output_hidden_states=True, use_cache=False)
    assert torch.equal(states.taps[0], own.hidden_states[1])
    assert torch.equal(host.lm_head(host.final_norm(states.taps[-1])), own.logits)
    assert host._logit_rule.kind == rule


class SquaredLogits(LlamaForCausalLM):
    def forward(self, **arguments: Any) -> Any:
        output = super().forward(**arguments)
        output.logits = output.logits.square()
        return output


class AveragingLayer(nn.Module):
    def forward(self, hidden_states: Tensor, **_: Any) -> Tensor:
        return hidden_states + hidden_states.mean(dim=1, keepdim=True)


def test_unknown_work_after_the_head_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="unknown scaling after the head"):
        host_of(SquaredLogits(LlamaConfig(**SMALL)))


def test_a_layer_that_looks_ahead_is_refused() -> None:
    model = llama()
    model.model.layers[1] = AveragingLayer()
    with pytest.raises(UnsupportedModelError, match="layer 1 that looks ahead"):
        host_of(model)


def test_layers_that_share_a_module_are_refused() -> None:
    model = llama()
    model.model.layers[1] = model.model.layers[0]
    with pytest.raises(UnsupportedModelError, match="layers of `layers` that share one"):
        host_of(model)


def test_a_model_without_a_layer_list_is_refused() -> None:
    model = llama()
    model.config.num_hidden_layers = 5
    with pytest.raises(UnsupportedModelError, match="a host without taps"):
        host_of(model)


def test_a_final_norm_may_be_missing() -> None:
    model = llama()
    model.model.norm = nn.Identity()
    host = host_of(model)
    states = host.forward(random_tokens(1, 4)).taps[-1]
    assert torch.equal(host.final_norm(states), states)


def test_logits_are_not_computed_in_forward() -> None:
    host = host_of(llama())
    calls: list[str] = []
    host.model.get_output_embeddings().register_forward_hook(lambda *_: calls.append("head"))
    host.forward(random_tokens(1, 4))
    assert calls == []


def test_dropout_stays_off_when_somebody_turns_training_mode_on() -> None:
    host = host_of(gpt2())
    tokens = random_tokens(2, 9)
    before = host.forward(tokens).taps[-1]
    host.model.train()
    assert torch.equal(host.forward(tokens).taps[-1], before)


def test_using_the_model_outside_of_the_host_leaves_nothing_behind() -> None:
    host = host_of(llama())
    tokens = random_tokens(1, 6)
    kept = host.forward(tokens)
    copies = [tap.clone() for tap in kept.taps]
    host.model(input_ids=random_tokens(1, 6, seed=1))
    host.forward(random_tokens(3, 4, seed=2))
    assert all(torch.equal(tap, copy) for tap, copy in zip(kept.taps, copies, strict=True))


def test_no_state_outlives_its_result() -> None:
    host = host_of(llama())
    states = host.forward(random_tokens(1, 6))
    taps = [weakref.ref(tap) for tap in states.taps]
    del states
    gc.collect()
    assert [tap() for tap in taps] == [None, None, None]


def test_two_hosts_over_one_model_tap_for_themselves() -> None:
    model = llama()
    every, last = host_of(model), host_of(model, tap_points=[2])
    tokens = random_tokens(1, 6)
    assert len(every.forward(tokens).taps) == 3
    assert torch.equal(last.forward(tokens).taps[0], every.forward(tokens).taps[2])


def test_threads_never_see_each_others_states() -> None:
    host = host_of(llama())
    inputs = [random_tokens(1 + index % 3, 4 + index, seed=index) for index in range(24)]
    alone = [host.forward(tokens) for tokens in inputs]
    with ThreadPoolExecutor(max_workers=6) as pool:
        for _ in range(3):
            for got, expected in zip(pool.map(host.forward, inputs), alone, strict=True):
                assert torch.equal(got.embedding, expected.embedding)
                assert all(torch.equal(one, two) for one, two in zip(got.taps, expected.taps, strict=True))


BAD_CALLS: dict[str, tuple[dict[str, Any], type[BuilderBrainError], str]] = {
    "one dimension": ({"tokens": torch.ones(4, dtype=torch.int64)}, InvalidRequestError, "tokens"),
    "floats": ({"tokens": torch.ones(1, 4)}, InvalidRequestError, "tokens"),
    "nothing": ({"tokens": torch.ones(1, 0, dtype=torch.int64)}, InvalidRequestError, "tokens"),
    "id over the vocabulary": ({"tokens": torch.tensor([[1, VOCAB_SIZE]])}, InvalidRequestError, "tokens"),
    "negative id": ({"tokens": torch.tensor([[1, -1]])}, InvalidRequestError, "tokens"),
    "too long": ({"tokens": random_tokens(1, 129)}, ContextLengthError, "tokens"),
    "length over T": ({"tokens": random_tokens(1, 4), "lengths": torch.tensor([5])}, InvalidRequestError, "lengths"),
    "length of zero": ({"tokens": random_tokens(1, 4), "lengths": torch.tensor([0])}, InvalidRequestError, "lengths"),
    "a length too many": ({"tokens": random_tokens(1, 4), "lengths": torch.tensor([1, 2])}, InvalidRequestError, "lengths"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_input_is_named(case: str) -> None:
    arguments, error, field = BAD_CALLS[case]
    with pytest.raises(error, match=r"expected .* got ") as caught:
        host_of(llama()).forward(**arguments)
    assert caught.value.field == field


def test_lengths_and_cache_exclude_each_other() -> None:
    host = host_of(llama())
    with pytest.raises(InvalidRequestError, match="lengths or cache"):
        host.forward(random_tokens(1, 4), lengths=torch.tensor([4]), cache=host.new_cache())


def test_the_context_counts_cached_tokens() -> None:
    host = host_of(gpt2())
    cache = host.new_cache()
    host.forward(random_tokens(1, 120), cache=cache)
    with pytest.raises(ContextLengthError, match="120 cached and 9 new"):
        host.forward(random_tokens(1, 9), cache=cache)
    assert host.forward(random_tokens(1, 8), cache=cache).embedding.shape == (1, 8, 64)
