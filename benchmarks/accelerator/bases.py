"""Bases of random weights in the shapes of known models: what a step costs does not depend on what the weights say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bbkernels.nf4_linear import Nf4Weight, nf4_linear
from bbkernels.nf4_linear.reference import NF4
from bbkernels.nf4_linear.weight import GROUP, NESTED_GROUP
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer

Weights = Literal["bf16", "nf4"]
END_TOKEN = "<|end|>"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a Qwen3."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    tie_word_embeddings: bool
    head_dim: int = 128
    vocab_size: int = 151_936


SHAPES = {
    "0.6B": Shape(hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
                  num_key_value_heads=8, tie_word_embeddings=True),
    "8B": Shape(hidden_size=4096, intermediate_size=12_288, num_hidden_layers=36, num_attention_heads=32,
                num_key_value_heads=8, tie_word_embeddings=False),
    "14B": Shape(hidden_size=5120, intermediate_size=17_408, num_hidden_layers=40, num_attention_heads=40,
                 num_key_value_heads=8, tie_word_embeddings=False),
}  # fmt: skip
"""Those of Qwen3-0.6B, -8B and -14B."""
TINY = Shape(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             tie_word_embeddings=False, head_dim=16, vocab_size=320)  # fmt: skip
"""For rehearsals on a CPU."""


def random_host(shape: Shape, weights: Weights, device: torch.device, max_length: int) -> HuggingFaceHost:
    """A host of that shape, its matrices in bfloat16 (float32 on a CPU), or those of its layers in NF4 as `load_host` keeps
    them."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(**vars(shape), max_position_embeddings=max_length, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        torch.manual_seed(0)
        with torch.device(device):
            model: Any = Qwen3ForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    if weights == "nf4":
        for layer in model.model.layers:
            for part in layer.modules():
                if isinstance(part, nn.Linear):
                    _pack(part)
    return HuggingFaceHost(model, _bytes_tokenizer(), name=f"random {weights}")


def weight_bytes(host: HuggingFaceHost, weights: Weights) -> int:
    """Bytes of the weights that a step of the base reads whole: those of its layers and of its head."""
    total = 0
    for part in host.model.modules():
        if isinstance(part, nn.Linear):
            layer = part is not host.model.get_output_embeddings()
            total += _packed_bytes(part) if weights == "nf4" and layer else part.weight.numel() * part.weight.element_size()
    return total


def _packed_bytes(part: nn.Linear) -> int:
    """Half a byte a weight, a byte for 64 of them, and 4 bytes for 256 of those."""
    count = part.in_features * part.out_features
    return count // 2 + -(-count // GROUP) + 4 * -(-count // GROUP // NESTED_GROUP)


def _pack(part: nn.Linear) -> None:
    """Random packed weights of about the size that they had, in place of the layer's own."""
    device, outputs, width = part.weight.device, part.out_features, part.in_features
    groups = -(-outputs * width // GROUP)

    def random_bytes(count: int) -> Tensor:
        return torch.randint(0, 256, (count,), dtype=torch.uint8, device=device)

    weight = Nf4Weight(
        packed=random_bytes(outputs * width // 2),
        absmax=random_bytes(groups),
        code=torch.tensor(NF4, device=device),
        out_features=outputs,
        in_features=width,
        nested_absmax=torch.full((-(-groups // NESTED_GROUP),), 0.01, device=device),
        nested_code=torch.linspace(-1.0, 1.0, 256, device=device),
        offset=torch.full((), 0.03, device=device),
    )
    part.weight = nn.Parameter(torch.empty(0, device=device, dtype=part.weight.dtype), requires_grad=False)
    part.forward = partial(_multiply, weight)  # type: ignore[method-assign]


def _multiply(weight: Nf4Weight, x: Tensor) -> Tensor:
    return nf4_linear(x, weight)


def _bytes_tokenizer() -> HuggingFaceTokenizer:
    """One token for each byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = {END_TOKEN: 0} | {letter: place for place, letter in enumerate(letters, start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=known, merges=[]))
    tokenizer.add_special_tokens([END_TOKEN])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return HuggingFaceTokenizer(
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END_TOKEN, eos_token=END_TOKEN, pad_token=END_TOKEN)
    )
