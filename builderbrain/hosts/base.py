"""What the rail may know of a base model: the `Host` protocol.

Letters: B batch, T new tokens, P cached tokens, d base width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from bbkernels.governed_loss import OutputHead
from builderbrain.hosts.ragged import Pages, RaggedBatch


@dataclass(frozen=True, kw_only=True)
class BaseStates:
    """The base stream as the rail sees it; every state is [B, T, d] in the base's dtype and holds no graph.

    `tokens` int64 [B, T] are the ids that were run. `embedding` enters layer 0. `unembedding` are the directions in
    which a state before the final norm must move to say the tokens and nothing else (`builderbrain.hosts.directions`).
    `taps[i]` leaves layer `tap_points[i]`, before the final norm. The last tap is always the last layer, so that
    `lm_head(final_norm(taps[-1]))` are the base's own logits, bit for bit.
    """

    tokens: Tensor
    embedding: Tensor
    unembedding: Tensor
    taps: tuple[Tensor, ...]


class Cache(Protocol):
    """Keys and values of the base for the tokens it has seen."""

    def get_seq_length(self) -> int:
        """Number of cached tokens P."""
        ...


class Tokenizer(Protocol):
    """The part of a tokenizer the project uses."""

    vocab_size: int
    """Number of ids the tokenizer can produce; may be less than the host's `vocab_size` (padded embeddings)."""
    eos_token_id: int

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text. Special tokens are never produced from text."""
        ...

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """What `encode` gives, and per token the half-open range of characters of `text` that it stands for."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids; special tokens give nothing, torn UTF-8 gives U+FFFD."""
        ...


@runtime_checkable
class Host(Protocol):
    """A frozen causal language model whose hidden states can be read.

    Always in eval mode, without autograd, and its weights are one object for training, serving, live and candidate.
    """

    name: str
    """Folder name or hub name the base came from."""
    d_model: int
    vocab_size: int
    """Width V of the logits."""
    num_layers: int
    max_length: int
    """Longest context in tokens."""
    tap_points: tuple[int, ...]
    """Zero-based layer indices, ascending; the last one is `num_layers - 1`."""
    dtype: torch.dtype
    device: torch.device
    tokenizer: Tokenizer

    def new_cache(self) -> Cache:
        """An empty cache for one batch."""
        ...

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cache: Cache | None = None) -> BaseStates:
        """Run the base over new tokens.

        Args:
            tokens: int64 [B, T], right-padded.
            lengths: int64 [B], number of real tokens per row; None when all T are real. Not together with `cache`.
            cache: extended in place by the T tokens; positions continue after the cached ones.
        """
        ...

    def final_norm(self, states: Tensor) -> Tensor:
        """The base's last norm, [..., d] -> [..., d]. Differentiable in its input."""
        ...

    def lm_head(self, states: Tensor) -> Tensor:
        """Logits [..., V] of normed states [..., d], soft caps included. Differentiable in its input."""
        ...

    def output_head(self) -> OutputHead:
        """The head as plain tensors, for the loss kernel; gives the same logits as `lm_head`.

        Raises:
            UnsupportedModelError: the head is quantised or not linear.
        """
        ...


@runtime_checkable
class KeepsCopies(Protocol):
    """A host that computes with more than its model's own tensors."""

    @property
    def prepared(self) -> Mapping[str, Tensor]:
        """Tensors that were made of the model's for faster use, by names that begin with `prepared.`."""
        ...


@runtime_checkable
class RaggedHost(Host, Protocol):
    """A host that can run many sequences in one row."""

    def new_pages(self, num_pages: int, page_size: int) -> Pages:
        """Room for keys and values of many sequences, `num_pages` of `page_size` positions each.

        Raises:
            UnsupportedModelError: this base cannot run many sequences in one row.
        """
        ...

    def forward_ragged(self, batch: RaggedBatch, pages: Pages) -> BaseStates:
        """Run the base over the new tokens of many sequences at once; every state is [1, N, d].

        The batch may lie on any device.

        A sequence's states are those that `forward` gives it alone, up to the order of sums in products, which on a CPU may
        depend on N.
        """
        ...

    def ragged_logits(self, states: Tensor) -> Tensor:
        """Logits [N, V] of states [N, d] before the final norm, without a gradient.

        A dense float32 base on a CPU gives a row the same bits whatever N is, here and in `forward_ragged`.
        """
        ...
