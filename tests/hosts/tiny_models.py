"""Small random-weight models of each supported family, and how to save one as a folder that `load_host` reads.

The weights are drawn far wider than a fresh model's, so that attention, experts and soft caps really bend the states:
with the usual 0.02 a model of this size is close to linear and a wrong mask would hide in the rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

END_TOKEN = "<|end|>"
VOCAB_SIZE = 320
WINDOW = 5
"""Sliding window of the families that have one, shorter than the sequences that the tests use."""

_TEXT = (
    "search for the promotion gate and then open it. list the files of this folder, read the first path and the last path. "
    "the plan is checked before the tools run, and the answer names the steps that were taken. "
) * 4

_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}


def llama(**overrides: Any) -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    return _make(LlamaForCausalLM, LlamaConfig(**{**_COMMON, **overrides}))


def qwen3(**overrides: Any) -> PreTrainedModel:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return _make(Qwen3ForCausalLM, Qwen3Config(**{**_COMMON, "head_dim": 16, **overrides}))


def mistral(**overrides: Any) -> PreTrainedModel:
    """Every layer sees a sliding window."""
    from transformers import MistralConfig, MistralForCausalLM

    return _make(MistralForCausalLM, MistralConfig(**{**_COMMON, "sliding_window": WINDOW, **overrides}))


def gemma2(**overrides: Any) -> PreTrainedModel:
    """Layers with a sliding window in turn with full ones; attention scores and logits under soft caps that bite."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    special = {
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": WINDOW,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 3.0,
    }
    return _make(Gemma2ForCausalLM, Gemma2Config(**{**_COMMON, **special, **overrides}))


def gpt2(**overrides: Any) -> PreTrainedModel:
    """Learned positions, tied head, dropout in training mode."""
    from transformers import GPT2Config, GPT2LMHeadModel

    renamed = {
        "vocab_size": VOCAB_SIZE,
        "n_embd": 64,
        "n_layer": 3,
        "n_head": 4,
        "n_positions": 128,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    return _make(GPT2LMHeadModel, GPT2Config(**{**renamed, **overrides}))


def gpt_oss(**overrides: Any) -> PreTrainedModel:
    """Mixture of experts, attention sinks, layers with a sliding window in turn with full ones."""
    from transformers import GptOssConfig, GptOssForCausalLM

    special = {
        "head_dim": 16,
        "intermediate_size": 64,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": WINDOW,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    return _make(GptOssForCausalLM, GptOssConfig(**{**_COMMON, **special, **overrides}))


FAMILIES: dict[str, Callable[..., PreTrainedModel]] = {
    "llama": llama,
    "qwen3": qwen3,
    "mistral": mistral,
    "gemma2": gemma2,
    "gpt2": gpt2,
    "gpt_oss": gpt_oss,
}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `VOCAB_SIZE` ids; id 0 is the only special token, `END_TOKEN`."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_tokenizer_json()),
        bos_token=END_TOKEN,
        eos_token=END_TOKEN,
        pad_token=END_TOKEN,
        clean_up_tokenization_spaces=False,
    )


def save_model(model: PreTrainedModel, folder: Path) -> Path:
    """Write the model and the tiny tokenizer as a transformers folder; gives the folder."""
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def random_tokens(batch: int, length: int, *, seed: int = 0) -> torch.Tensor:
    """int64 [batch, length] of ordinary (not special) ids."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, (batch, length), generator=generator)


@cache
def _tokenizer_json() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TEXT], trainer)
    return tokenizer.to_str()


def _make(family: Any, config: Any) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        model: PreTrainedModel = family(config)
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape)
            if parameter.ndim == 1 or "norm" in name:  # norms, biases, sinks: near where they start
                parameter.add_(0.2 * noise)
            else:
                parameter.copy_(noise * 1.5 * parameter.shape[-1] ** -0.5)
    return model.eval()
