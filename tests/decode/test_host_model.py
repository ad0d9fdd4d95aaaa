"""A bare host as a model: cached steps equal a run over the whole sequence."""

from __future__ import annotations

import torch

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.decode.host_model import HostModel
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts.tiny_models import llama, tiny_tokenizer


def test_steps_equal_recomputation_and_stay_in_the_vocabulary() -> None:
    backend = HuggingFaceTokenizer(tiny_tokenizer())
    host = HuggingFaceHost(llama(), backend, name="tiny")
    model = HostModel(host)
    state, tokens = model.start([3, 9]), [3, 9]
    for token in (17, 4, 200):
        state.append(token)
        tokens.append(token)
        whole = host.forward(torch.tensor([tokens]))
        expected = host.lm_head(host.final_norm(whole.taps[-1]))[0, -1]
        assert state.logits().shape == (model.vocab_size,)
        assert (state.logits() - expected).abs().max() < 1e-4
    generation = generate(model, [3, 9], SamplingParameters(max_tokens=8, temperature=1.5, seed=3))
    assert len(generation.tokens) <= 8
    assert generation.weight_version == "base"
