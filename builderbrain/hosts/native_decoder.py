"""The layers of a small dense base as one native call (`csrc/cpu/decoder_step.cpp`), in place of hundreds of operations.

A base of a few million weights spends four fifths of a step between the operations of its modules. Llama and its nearest
relatives, whose layers are the same few formulas, are therefore run natively while they are small, dense, in float32 and on a
CPU. Every other base, and everything that is no ragged call, runs through its own modules. What attention a family asks for is
not guessed: it is what its modules asked `hosts.paged_cache` for in the trial that each base goes through.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from bbkernels.native import cpu_library
from bbkernels.native_kept import kept_arrays
from builderbrain.hosts.ragged import RaggedBatch

MOST_WEIGHTS = 1 << 25
"""Above it, time lies in products, and the modules' own threads share those better."""
LAYERS = frozenset({"LlamaDecoderLayer", "MistralDecoderLayer", "Qwen2DecoderLayer", "Qwen3DecoderLayer"})
BEST_LEVEL = 2
"""The highest of csrc/cpu/level.h; the library takes what the machine has."""
_LANES = 16
_LARGEST_HEAD = 256
_MATRICES = ("query_key_value", "output", "gate_up", "down")
_VECTORS = (
    "attention_norm", "query_norm", "key_norm", "mlp_norm", "query_key_value_bias", "output_bias", "gate_up_bias", "down_bias",
)  # fmt: skip
_ACTIVATIONS = {"silu": 0, "gelu_pytorch_tanh": 1}
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "bb_decoder_new": (_POINTER, [_POINTER] * 6 + [_FLOAT, _FLOAT]),
    "bb_decoder_free": (None, [_POINTER]),
    "bb_decoder_step": (None, [_POINTER, _LONG, *[_POINTER] * 5, _LONG, _LONG, *[_POINTER] * 4, _INT, _INT]),
}


class NativeDecoder:
    """The weights of a base's layers as the library reads them; matrices are copied.

    Args:
        decoder: the part of the model that runs its layers; it has `rotary_emb`.
        layers: as `why_not_native` accepts them.
        max_length: positions that will be asked for, below it.
        asked: see `why_not_native`.
    """

    def __init__(self, decoder: Any, layers: Sequence[nn.Module], max_length: int, asked: dict[int, dict[str, Any]]) -> None:
        parts: list[Any] = list(layers)
        first = parts[0]
        attention, config = first.self_attn, first.self_attn.config
        size = attention.head_dim
        self.heads, self.groups, self.size = attention.q_proj.out_features // size, attention.k_proj.out_features // size, size
        at = torch.arange(max_length)[None]
        with torch.no_grad():
            cosine, sine = (table[0].float() for table in decoder.rotary_emb(torch.zeros(1, 1, 1), at))
        turned = cosine.shape[-1]
        self._tables = [table[:, : turned // 2].contiguous() for table in (cosine, sine)]
        matrices, self._parts = zip(*map(_weights, parts), strict=True)
        self.num_layers = len(parts)
        numbers = [
            len(parts), attention.q_proj.in_features, self.heads, self.groups, size, turned,
            first.mlp.gate_proj.out_features, _ACTIVATIONS[config.hidden_act],
        ]  # fmt: skip
        windows = torch.tensor([asked[layer]["window"] or 0 for layer in range(len(parts))], dtype=torch.int64)
        shape = torch.tensor(numbers, dtype=torch.int64)
        self._pointer: int = _function("bb_decoder_new")(
            shape.data_ptr(),
            _addresses([matrix for each in matrices for matrix in each]),
            _addresses([part for each in self._parts for part in each]),
            windows.data_ptr(),
            *[table.data_ptr() for table in self._tables],
            first.input_layernorm.variance_epsilon,
            asked[0]["scale"],
        )
        weakref.finalize(self, _function("bb_decoder_free"), self._pointer)

    @property
    def prepared(self) -> dict[str, Tensor]:
        """What the library reads, by name: its copies of the matrices, and the vectors and tables that it was given."""
        arrays = kept_arrays("bb_decoder_kept", self._pointer)
        found = {f"{place // 4}.{_MATRICES[place % 4]}": array for place, array in enumerate(arrays)}
        for layer, vectors in enumerate(self._parts):
            for name, vector in zip(_VECTORS, vectors, strict=True):
                if vector is not None:
                    found[f"{layer}.{name}"] = vector
        return {**found, "cosine": self._tables[0], "sine": self._tables[1]}

    def step(
        self,
        batch: RaggedBatch,
        embedding: Tensor,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        tap_points: Sequence[int],
        *,
        level: int = BEST_LEVEL,
    ) -> list[Tensor]:
        """The states [N, d] behind the layers `tap_points`, of `embedding` float32 [N, d].

        Args:
            keys: per layer float32 [P, L, G, D], written at the batch's slots; so are `values`.
        """
        taps = {layer: torch.empty_like(embedding) for layer in tap_points}
        _function("bb_decoder_step")(
            self._pointer, len(batch.lengths), batch.positions.data_ptr(), batch.slots.data_ptr(), batch.starts.data_ptr(),
            batch.lengths.data_ptr(), batch.table.data_ptr(), batch.table.shape[1], keys[0].shape[1], _addresses(keys),
            _addresses(values), embedding.data_ptr(), _addresses([taps.get(layer) for layer in range(self.num_layers)]),
            level, torch.get_num_threads(),
        )  # fmt: skip
        return [taps[layer] for layer in tap_points]


def why_not_native(decoder: Any, layers: Sequence[nn.Module], asked: dict[int, dict[str, Any]]) -> str | None:
    """What keeps a base's layers from the native call; None when nothing does.

    Args:
        asked: per layer what its attention was asked for in a trial: `scale`, `window`, `soft_cap` and `sinks`.
    """
    if cpu_library() is None:
        return "no native library; run `python scripts/build_native.py`"
    kinds = sorted({type(layer).__name__ for layer in layers if not _is_known(layer)})
    if kinds:
        return f"layers of the kind {', '.join(kinds)}"
    weights = [weight for layer in layers for weight in layer.parameters()]
    if any(weight.dtype != torch.float32 or weight.device.type != "cpu" for weight in weights):
        return "weights that are not float32 on the CPU"
    if sum(weight.numel() for weight in weights) > MOST_WEIGHTS:
        return f"more than {MOST_WEIGHTS} weights in its layers"
    if any(type(part) is not nn.Linear for layer in layers for name, part in layer.named_modules() if name.endswith("_proj")):
        return "adapters or packed matrices in its layers"
    parts: list[Any] = list(layers)
    sizes = {part.self_attn.head_dim for part in parts} | {part.mlp.gate_proj.out_features for part in parts}
    width = parts[0].self_attn.q_proj.in_features
    if any(value % _LANES for value in (*sizes, width)) or parts[0].self_attn.head_dim > _LARGEST_HEAD:
        return f"widths that are no multiples of {_LANES}, or heads above {_LARGEST_HEAD}"
    if parts[0].self_attn.config.hidden_act not in _ACTIVATIONS:
        return f"the activation {parts[0].self_attn.config.hidden_act}"
    seen = [asked.get(layer) for layer in range(len(parts))]
    if any(each is None or each["soft_cap"] or each["sinks"] is not None for each in seen):
        return "attention with a soft cap or sinks"
    if len({each["scale"] for each in seen if each}) != 1 or not hasattr(decoder, "rotary_emb"):
        return "positions or scales of its own"
    return None


def _is_known(layer: nn.Module) -> bool:
    return type(layer).__name__ in LAYERS and type(layer).__module__.startswith("transformers.models.")


def _weights(layer: Any) -> tuple[list[Tensor], list[Tensor | None]]:
    """The matrices and the vectors of a layer in the library's order, that of `_MATRICES` and `_VECTORS`."""
    own, mlp = layer.self_attn, layer.mlp
    query_key_value, gate_up = (own.q_proj, own.k_proj, own.v_proj), (mlp.gate_proj, mlp.up_proj)
    matrices = [_joined([part.weight for part in query_key_value]), own.o_proj.weight,
                _joined([part.weight for part in gate_up]), mlp.down_proj.weight]  # fmt: skip
    vectors = [
        layer.input_layernorm.weight,
        own.q_norm.weight if hasattr(own, "q_norm") else None,
        own.k_norm.weight if hasattr(own, "k_norm") else None,
        layer.post_attention_layernorm.weight,
        _joined([part.bias for part in query_key_value]) if own.q_proj.bias is not None else None,
        own.o_proj.bias,
        _joined([part.bias for part in gate_up]) if mlp.gate_proj.bias is not None else None,
        mlp.down_proj.bias,
    ]
    return [part.detach().contiguous() for part in matrices], [None if v is None else v.detach().contiguous() for v in vectors]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.detach() for part in parts])


def _addresses(tensors: Sequence[Tensor | None]) -> Any:
    return (_POINTER * len(tensors))(*[None if tensor is None else tensor.data_ptr() for tensor in tensors])


@cache
def _function(name: str) -> Any:
    function = getattr(cpu_library(), name)
    function.restype, function.argtypes = _SIGNATURES[name]
    return function
