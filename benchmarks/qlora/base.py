"""The base that both sides train beside: a Llama shape with random weights in four bits, made where it will run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from builderbrain.hosts import load_host
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.load import NANO


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A base and the batches that it is measured with: `rows` rows of `tokens` tokens a step, in `parts` parts.

    The governed side alone runs `text_rows` rows of ordinary text for the KL budget, and reads the divergence at
    `text_positions` tokens of each part's text.
    """

    width: int
    layers: int
    heads: int
    key_heads: int
    hidden: int
    vocab_size: int
    rows: int
    parts: int
    text_rows: int
    text_positions: int
    tokens: int


SHAPES = {
    "tiny": Shape(
        width=64, layers=2, heads=2, key_heads=1, hidden=128, vocab_size=2048, rows=4, parts=2, text_rows=1, text_positions=64,
        tokens=256,
    ),
    # 97.6 million parameters. A row of text to seven rows, as three to twenty in the default configuration; two rows a part.
    "cpu": Shape(
        width=768, layers=12, heads=12, key_heads=12, hidden=2048, vocab_size=8192, rows=7, parts=4, text_rows=1,
        text_positions=64, tokens=256,
    ),
    "8b": Shape(
        width=4096, layers=32, heads=32, key_heads=8, hidden=14336, vocab_size=128256, rows=14, parts=7, text_rows=2,
        text_positions=512, tokens=2048,
    ),
}  # fmt: skip


def random_model(shape: Shape, *, dtype: torch.dtype, device: torch.device) -> Any:
    """A causal LM whose linear layers, the head excepted, are bitsandbytes' NF4 with nested scales, computing in `dtype`."""
    import bitsandbytes as bnb
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_heads,
        vocab_size=shape.vocab_size,
        max_position_embeddings=8192,
        rope_theta=500_000.0,
        tie_word_embeddings=False,
        dtype=dtype,
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    for name, layer in list(model.model.named_modules()):
        if isinstance(layer, nn.Linear):
            packed: Any = bnb.nn.Linear4bit(
                layer.in_features, layer.out_features, bias=False, compute_dtype=dtype, quant_type="nf4", device="meta"
            )
            packed.weight = bnb.nn.Params4bit(
                layer.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
            ).to(device)
            if packed.weight.quant_state is None:
                packed.weight = packed.weight._quantize(device)
            model.model.set_submodule(name, packed)
            del layer
    model.is_loaded_in_4bit = True  # as `transformers` marks what it has packed itself
    return model.eval()


def random_host(shape: Shape, *, dtype: torch.dtype, device: torch.device) -> HuggingFaceHost:
    """The model as a host, with the tokenizer of the bundled base."""
    from builderbrain.hosts.packed_linear import route_packed_linears

    model = random_model(shape, dtype=dtype, device=device)
    model.requires_grad_(False)
    route_packed_linears(model)
    return HuggingFaceHost(model, bundled().tokenizer, name="random")  # type: ignore[arg-type]


def bundled() -> HuggingFaceHost:
    """The bundled base on the CPU."""
    host = load_host(NANO, device="cpu")
    assert isinstance(host, HuggingFaceHost)
    return host
