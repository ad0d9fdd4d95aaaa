"""Pages of keys and values for `transformers` models, through its cache and attention interfaces.

`attend` is registered under a name of its own and stands in the model's configuration for good. Outside of a ragged call it
is what the model attended by before, bit for bit. Inside one the cache has already put the new keys and values into their
pages, and it calls the kernel of `bbkernels.ragged_attention`. Which call it is in stands in a context variable: families
differ in what they hand on to their attention, and two threads may run one model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from bbkernels.page_write import write_unchecked
from bbkernels.ragged_attention import attend_unchecked
from builderbrain.errors import UnsupportedModelError
from builderbrain.hosts.ragged import RaggedBatch

ATTENTION = "builderbrain"
"""Beginning of the names of `attend` among the attention functions of `transformers`."""


class PagedCache(Cache):
    """`num_pages` pages of `page_size` positions for every layer, [P, L, G, D] each; made when a layer first writes.

    Writes may be captured in a CUDA graph once every layer has its pages.
    """

    def __init__(self, num_pages: int, page_size: int) -> None:
        super().__init__(layers=[])
        self.num_pages, self.page_size = num_pages, page_size
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.asked: dict[int, dict[str, Any]] = {}
        """What each layer's attention was asked for when it last ran."""

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Put the new states [1, G, N, D] into their pages; they are returned as they came."""
        call = _call.get()
        if call is None or call.cache is not self:
            raise RuntimeError("expected pages to be used by Host.forward_ragged alone")
        keys, values = key_states[0].transpose(0, 1), value_states[0].transpose(0, 1)
        if layer_idx not in self.keys:
            for held, rows in ((self.keys, keys), (self.values, values)):
                held[layer_idx] = rows.new_zeros(self.num_pages, self.page_size, *rows.shape[1:])
        write_unchecked(keys, values, self.keys[layer_idx], self.values[layer_idx], call.batch.slots)
        return key_states, value_states

    def make_layers(self, count: int, groups: int, size: int) -> None:
        """Make the pages [P, L, G, D] of `count` layers in float32 on the CPU, unless they are there."""
        for layer in range(count):
            if layer not in self.keys:
                for held in (self.keys, self.values):
                    held[layer] = torch.zeros(self.num_pages, self.page_size, groups, size)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """0: positions are told with every call."""
        return 0

    def copy_page(self, source: int, target: int) -> None:
        """See `Pages.copy_page`."""
        for held in (self.keys, self.values):
            for pages in held.values():
                pages[target] = pages[source]


@dataclass(frozen=True)
class _RaggedCall:
    batch: RaggedBatch
    cache: PagedCache


_call: ContextVar[_RaggedCall | None] = ContextVar("builderbrain_ragged_call", default=None)


@contextmanager
def ragged_call(batch: RaggedBatch, cache: PagedCache) -> Iterator[None]:
    """Within it attention is that of a ragged batch."""
    token = _call.set(_RaggedCall(batch, cache))
    try:
        yield
    finally:
        _call.reset(token)


def attend(
    plain: Callable[..., tuple[Tensor, Tensor | None]],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention function of `transformers` beside the one it stands for: query [B, H, T, D], the result [B, T, H, D]."""
    call = _call.get()
    if call is None:
        return plain(module, query, key, value, attention_mask, **options)
    layer: Any = module.layer_idx
    scaling = options.get("scaling")
    asked = call.cache.asked[layer] = {
        "scale": query.shape[-1] ** -0.5 if scaling is None else float(scaling),
        "window": options.get("sliding_window"),
        "soft_cap": options.get("softcap"),
        "sinks": options.get("s_aux"),
    }
    attended = attend_unchecked(
        query[0].transpose(0, 1),
        call.cache.keys[layer],
        call.cache.values[layer],
        call.batch.table,
        call.batch.starts,
        call.batch.lengths,
        **asked,
    )
    return attended[None], None


def _eager(module: nn.Module, *args: Any, **options: Any) -> tuple[Tensor, Tensor | None]:
    """The attention that a family brings with it."""
    family: Any = sys.modules[type(module).__module__]
    out: tuple[Tensor, Tensor | None] = family.eager_attention_forward(module, *args, **options)
    return out


def route_attention(model: Any) -> bool:
    """Let a model attend by `attend`, if it takes attention functions at all; whether it does.

    What the model computes does not change by it.
    """
    # Imported here: it makes a folder for compiled code.
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask

    known: dict[str, tuple[Any, Any]] = {"sdpa": (sdpa_attention_forward, sdpa_mask), "eager": (_eager, eager_mask)}
    plain = model.config._attn_implementation
    if plain not in known or not getattr(model, "_supports_attention_backend", False):
        return False
    function, mask = known[plain]
    name = f"{ATTENTION}_{plain}"
    AttentionInterface.register(name, partial(attend, function))
    AttentionMaskInterface.register(name, mask)
    model.set_attn_implementation(name)
    return True


_GROWING_ROTATION = ("dynamic", "longrope")
"""Kinds of rotary positions that turn all rows of a batch by its longest one."""


def route_host(host: Any) -> None:
    """Route a host's attention.

    Raises:
        UnsupportedModelError: it does not go through the interface of `transformers`, or turns positions by the longest row.
    """
    config = host.model.config.get_text_config(decoder=True)
    rotation = getattr(config, "rope_parameters", None) or {}
    kinds = {str(part.get("rope_type")) for part in (rotation, *rotation.values()) if isinstance(part, dict)}
    for kind in sorted(kinds & set(_GROWING_ROTATION)):
        raise _refused(host, f"rotary positions of kind {kind!r}")
    if not route_attention(host.model):
        raise _refused(host, f"attention of {type(host.model).__name__}, which is its own")


def check_ragged(host: Any) -> dict[int, dict[str, Any]]:
    """Prove that sequences side by side get the states that they get alone; what each layer's attention was asked for.

    Raises:
        UnsupportedModelError: they do not.
    """
    some = min(3, host.vocab_size)
    rows = [[1 % host.vocab_size] * 2 + [0], [some - 1, 0, 1 % host.vocab_size, 0, some - 1]]
    cache = PagedCache(num_pages=6, page_size=2)
    try:
        for first, end in ((0, 2), (2, 5)):
            parts = [row[first:end] for row in rows]
            pages = [[4, 1], [5, 0, 3]]
            batch = RaggedBatch.of(parts, [first, first], pages, page_size=2, device=host.device)
            together = host.forward_ragged(batch, cache).taps
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _refused(host, f"a decoder that does not take pages ({type(error).__name__}: {error})") from error
    for row, rows_of in zip(rows, (slice(0, 1), slice(1, 4)), strict=True):
        alone = host.forward(torch.tensor([row], device=host.device)).taps
        for mine, theirs in zip(together, alone, strict=True):
            one, other = mine[0, rows_of].float(), theirs[0, 2:].float()
            if (one - other).abs().max() > torch.finfo(mine.dtype).eps ** 0.5 * other.abs().max():
                raise _refused(host, "states that differ from those of a sequence alone")
    return cache.asked


def _refused(host: Any, got: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{host.name} cannot run many sequences in one row: got {got}; serve it with --max-num-seqs 1", field="model"
    )
